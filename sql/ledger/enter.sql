-- Open the fence for this deploy; a closed one stays closed.
INSERT INTO supabase_migrations.deploy_agent_fence (deploy_id, state) VALUES (%(deploy_id)s, 'open')
ON CONFLICT (deploy_id) DO NOTHING
