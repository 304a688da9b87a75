-- The last words of a transaction: nothing that its files did may have taken away the deploy lock, the fence or their
-- history rows; and what they wrote outside the backup is noted. The counters are this session's own, of the message
-- that is being run (PostgreSQL documentation, "The Cumulative Statistics System": pg_stat_get_xact_…).
-- Few queries, since a DO block plans each of them anew; `hold` has locked the fence's row already.
DO $seal$
DECLARE
  found record;
  written text[] := '{}';
BEGIN
  SELECT
    pg_catalog.pg_try_advisory_lock(x'6465706c6f796131'::bigint) AS locked,
    EXISTS (
      SELECT FROM supabase_migrations.deploy_agent_fence WHERE deploy_id = %(deploy_id)s AND state = 'open'
    ) AS fenced,
    (
      SELECT count(*) FROM supabase_migrations.schema_migrations WHERE version = ANY (%(versions)s::text[])
    ) AS rows,
    ARRAY(
      SELECT watched.oid FROM pg_catalog.unnest(%(watched)s::oid[]) AS watched (oid)
      WHERE pg_catalog.pg_stat_get_xact_tuples_updated(watched.oid) > 0
        OR watched.oid <> 1260 AND (pg_catalog.pg_stat_get_xact_tuples_inserted(watched.oid) > 0  -- 1260: pg_authid
          OR pg_catalog.pg_stat_get_xact_tuples_deleted(watched.oid) > 0)
    ) AS hit
  INTO found;
  IF NOT found.locked THEN
    RAISE EXCEPTION 'the file released the deploy lock, and another deploy has taken it' USING ERRCODE = 'DA002';
  ELSIF NOT found.fenced THEN
    RAISE EXCEPTION 'the file removed or shut the agent''s own fence (supabase_migrations.deploy_agent_fence)' USING ERRCODE = 'DA002';
  ELSIF found.rows < pg_catalog.cardinality(%(versions)s::text[]) THEN
    RAISE EXCEPTION 'the history table did not keep the row of this file: a trigger or rule on it is in the way' USING ERRCODE = 'DA002';
  END IF;
  IF found.hit <> '{}' THEN
    written := ARRAY(
      SELECT pg_catalog.format('%%I.%%I', n.nspname, c.relname)
      FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
      WHERE c.oid = ANY (found.hit)
    );
  END IF;
  INSERT INTO supabase_migrations.deploy_agent_file (deploy_id, version, state, wrote_outside)
  SELECT %(deploy_id)s, version, 'applied', written FROM pg_catalog.unnest(%(versions)s::text[]) AS version
  ON CONFLICT (deploy_id, version) DO UPDATE SET state = 'applied';
END
$seal$
