-- It has returned. What it wrote itself has an earlier transaction id.
UPDATE supabase_migrations.deploy_agent_ledger
SET state = 'done', writes = %(writes)s, ended = pg_current_xact_id()::text::bigint
WHERE deploy_id = %(deploy_id)s AND version = %(version)s AND statement = %(statement)s
