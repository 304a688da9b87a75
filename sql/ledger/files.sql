-- The files that this deploy has applied or begun, the tables outside the backup that each wrote to, and whether it may
-- have written to any.
SELECT version, state, wrote_outside, touched_any FROM supabase_migrations.deploy_agent_file WHERE deploy_id = %(deploy_id)s
ORDER BY version COLLATE "C"
