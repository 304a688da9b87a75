-- Leave nothing behind (one script).
DROP FUNCTION IF EXISTS supabase_migrations.deploy_agent_hold, supabase_migrations.deploy_agent_seal;
DROP TABLE IF EXISTS supabase_migrations.deploy_agent_restore;
DROP TABLE IF EXISTS supabase_migrations.deploy_agent_proof;
DROP TABLE IF EXISTS supabase_migrations.deploy_agent_relation;
DROP TABLE IF EXISTS supabase_migrations.deploy_agent_file;
DROP TABLE IF EXISTS supabase_migrations.deploy_agent_ledger;
DROP TABLE IF EXISTS supabase_migrations.deploy_agent_fence
