-- Hold the fence open until this transaction ends; no row: the deploy is being undone.
SELECT true AS open FROM supabase_migrations.deploy_agent_fence
WHERE deploy_id = %(deploy_id)s AND state = 'open' FOR SHARE
