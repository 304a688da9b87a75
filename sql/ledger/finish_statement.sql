-- It has returned.
UPDATE supabase_migrations.deploy_agent_ledger SET state = 'done'
WHERE deploy_id = %(deploy_id)s AND version = %(version)s AND statement = %(statement)s
