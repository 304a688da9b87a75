-- Open the fence for this deploy; a closed one stays closed. The deploy's own transaction ids come after `began`.
INSERT INTO supabase_migrations.deploy_agent_fence (deploy_id, state, began)
VALUES (%(deploy_id)s, 'open', pg_current_xact_id()::text::bigint)
ON CONFLICT (deploy_id) DO NOTHING
