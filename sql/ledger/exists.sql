-- Whether a deploy's fence and ledger are there, all of them.
SELECT to_regclass('supabase_migrations.deploy_agent_fence') IS NOT NULL
  AND to_regclass('supabase_migrations.deploy_agent_ledger') IS NOT NULL
  AND to_regclass('supabase_migrations.deploy_agent_file') IS NOT NULL
  AND to_regclass('supabase_migrations.deploy_agent_proof') IS NOT NULL AS there
