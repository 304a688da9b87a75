-- Shut the fence: waits for transactions that hold it, and lets no new one in. The deploy's own transaction ids are
-- earlier than `ended`.
UPDATE supabase_migrations.deploy_agent_fence
SET state = 'closed', ended = pg_current_xact_id()::text::bigint
WHERE deploy_id = %(deploy_id)s AND state = 'open'
