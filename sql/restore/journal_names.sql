-- The batches that have committed.
SELECT name FROM supabase_migrations.deploy_agent_restore
