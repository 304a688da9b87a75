-- Whether a restore in several transactions is unfinished.
SELECT to_regclass('supabase_migrations.deploy_agent_restore') IS NOT NULL AS there
