-- The last words of a file's transaction: nothing that the file did may have taken away the deploy lock, the fence or the
-- history row; and what it wrote outside the backup is noted. The counters are this session's own
-- (PostgreSQL documentation, "The Cumulative Statistics System": pg_stat_get_xact_…).
DO $seal$
BEGIN
  IF NOT pg_catalog.pg_try_advisory_lock(x'6465706c6f796131'::bigint) THEN
    RAISE EXCEPTION 'the file released the deploy lock, and another deploy has taken it' USING ERRCODE = 'DA002';
  END IF;
  PERFORM FROM supabase_migrations.deploy_agent_fence WHERE deploy_id = %(deploy_id)s AND state = 'open' FOR SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the file removed or shut the agent''s own fence (supabase_migrations.deploy_agent_fence)' USING ERRCODE = 'DA002';
  END IF;
  PERFORM FROM supabase_migrations.schema_migrations WHERE version = %(version)s;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'the history table did not keep the row of this file: a trigger or rule on it is in the way' USING ERRCODE = 'DA002';
  END IF;
  INSERT INTO supabase_migrations.deploy_agent_file (deploy_id, version, state, wrote_outside)
  SELECT %(deploy_id)s, %(version)s, 'applied', ARRAY(
    SELECT pg_catalog.format('%%I.%%I', n.nspname, c.relname)
    FROM pg_catalog.unnest(%(watched)s::oid[]) AS watched (oid)
    JOIN pg_catalog.pg_class AS c ON c.oid = watched.oid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    WHERE pg_catalog.pg_stat_get_xact_tuples_updated(watched.oid) > 0
      OR c.relname <> 'pg_authid' AND (pg_catalog.pg_stat_get_xact_tuples_inserted(watched.oid) > 0
        OR pg_catalog.pg_stat_get_xact_tuples_deleted(watched.oid) > 0)
  )
  ON CONFLICT (deploy_id, version) DO UPDATE SET state = 'applied';
END
$seal$
