-- Which restore is unfinished; '' where none of its batches has committed: the database is as it was before it.
SELECT coalesce(min(restore) FILTER (WHERE done), '') AS restore FROM supabase_migrations.deploy_agent_restore
