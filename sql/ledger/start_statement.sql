-- A statement that runs outside a transaction is about to start.
INSERT INTO supabase_migrations.deploy_agent_ledger (deploy_id, version, statement, state)
VALUES (%(deploy_id)s, %(version)s, %(statement)s, 'started')
