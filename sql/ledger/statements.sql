-- How far the files that run statement by statement have come.
SELECT version, statement, state FROM supabase_migrations.deploy_agent_ledger WHERE deploy_id = %(deploy_id)s
ORDER BY version COLLATE "C", statement
