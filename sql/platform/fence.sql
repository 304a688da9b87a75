-- This deploy's fence, or null, and whether any of its migrations had begun.
SELECT
  (SELECT state FROM supabase_migrations.deploy_agent_fence WHERE deploy_id = %(deploy_id)s) AS state,
  EXISTS (SELECT FROM supabase_migrations.deploy_agent_file WHERE deploy_id = %(deploy_id)s)
    OR EXISTS (SELECT FROM supabase_migrations.deploy_agent_ledger WHERE deploy_id = %(deploy_id)s) AS begun
