-- A statement that runs outside a transaction is about to start. What it writes itself has a later transaction id.
INSERT INTO supabase_migrations.deploy_agent_ledger (deploy_id, version, statement, state, writes, began)
VALUES (%(deploy_id)s, %(version)s, %(statement)s, 'started', %(writes)s, pg_current_xact_id()::text::bigint)
