-- Which restore is unfinished.
SELECT restore FROM supabase_migrations.deploy_agent_restore LIMIT 1
