-- A file that runs statement by statement is about to start.
INSERT INTO supabase_migrations.deploy_agent_file (deploy_id, version, state) VALUES (%(deploy_id)s, %(version)s, 'started')
ON CONFLICT (deploy_id, version) DO NOTHING
