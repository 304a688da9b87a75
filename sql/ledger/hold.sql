-- Hold the fence open until this transaction ends, or fail: the deploy is being undone.
SELECT supabase_migrations.deploy_agent_hold(%(deploy_id)s)
