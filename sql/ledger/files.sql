-- The files that this deploy has applied or begun, and the tables outside the backup that each wrote to.
SELECT version, state, wrote_outside FROM supabase_migrations.deploy_agent_file WHERE deploy_id = %(deploy_id)s
ORDER BY version COLLATE "C"
