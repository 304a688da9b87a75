-- Whether a deploy's fence is there at all.
SELECT to_regclass('supabase_migrations.deploy_agent_fence') IS NOT NULL AS there
