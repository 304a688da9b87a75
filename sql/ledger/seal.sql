-- The last words of a transaction about its files.
SELECT supabase_migrations.deploy_agent_seal(%(deploy_id)s, %(versions)s::text[], %(watched)s::oid[], %(ours)s::oid[])
