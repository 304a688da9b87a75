-- Shut the fence: waits for transactions that hold it, and lets no new one in.
UPDATE supabase_migrations.deploy_agent_fence SET state = 'closed' WHERE deploy_id = %(deploy_id)s
