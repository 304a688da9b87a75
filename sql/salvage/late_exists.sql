-- Whether a restore has noted rows that were written after the salvage.
SELECT to_regclass('supabase_migrations.deploy_agent_late') IS NOT NULL AS there
