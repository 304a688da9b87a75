-- What hold.sql and seal.sql call (one script).
-- Seal, the last words of a transaction: nothing that its files did may have taken away the deploy lock, the fence or their
-- history rows; and what they wrote is noted: outside the backup, to which relations (rows are written under
-- RowExclusiveLock, which is kept until the end), under which transaction ids. The counters are this session's own, of
-- the message that is being run, and count what was tried (PostgreSQL documentation, "Table-Level Locks", "The
-- Cumulative Statistics System": pg_stat_get_xact_…). 16384: the first OID that is not Postgres's own.
-- A function, since a DO block would plan its queries anew for each file. `hold` has locked the fence's row already.
CREATE OR REPLACE FUNCTION supabase_migrations.deploy_agent_seal(
  of_deploy text, of_versions text[], watched_ids oid[], our_ids oid[]
) RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog AS $seal$
DECLARE
  found record;
  written text[] := '{}';
  inner_ids integer;  -- how many subtransactions have ids of their own, under which rows may be written
  last bigint;  -- an id that comes after all of them
BEGIN
  SELECT
    pg_catalog.pg_current_xact_id()::text::bigint AS top,
    pg_catalog.pg_try_advisory_lock(x'6465706c6f796131'::bigint) AS locked,
    EXISTS (
      SELECT FROM supabase_migrations.deploy_agent_fence WHERE deploy_id = of_deploy AND state = 'open'
    ) AS fenced,
    (
      SELECT count(*) FROM supabase_migrations.schema_migrations WHERE version = ANY (of_versions)
    ) AS rows,
    ARRAY(
      SELECT watched.oid FROM pg_catalog.unnest(watched_ids) AS watched (oid)
      WHERE pg_catalog.pg_stat_get_xact_tuples_updated(watched.oid) > 0
        OR watched.oid <> 1260 AND (pg_catalog.pg_stat_get_xact_tuples_inserted(watched.oid) > 0  -- 1260: pg_authid
          OR pg_catalog.pg_stat_get_xact_tuples_deleted(watched.oid) > 0)
    ) AS hit,
    ARRAY(
      SELECT watched.oid FROM pg_catalog.unnest(watched_ids) AS watched (oid)
      WHERE watched.oid = 2995 AND pg_catalog.pg_stat_get_xact_tuples_updated(watched.oid) > 0  -- pg_largeobject_metadata
    ) AS altered,
    wrote.touched,
    wrote.replaced
  INTO found
  FROM (
    SELECT
      pg_catalog.array_agg(l.relation) AS touched,
      pg_catalog.array_agg(l.relation) FILTER (
        WHERE pg_catalog.pg_stat_get_xact_tuples_updated(l.relation) > 0
          OR pg_catalog.pg_stat_get_xact_tuples_deleted(l.relation) > 0
          OR pg_catalog.current_setting('track_counts') = 'off'
      ) AS replaced
    FROM pg_catalog.pg_lock_status() AS l
    WHERE l.pid = pg_catalog.pg_backend_pid() AND l.mode = 'RowExclusiveLock'
      AND l.relation >= 16384 AND l.relation <> ALL (our_ids)
  ) AS wrote;
  IF NOT found.locked THEN
    RAISE EXCEPTION 'the file released the deploy lock, and another deploy has taken it' USING ERRCODE = 'DA002';
  ELSIF NOT found.fenced THEN
    RAISE EXCEPTION 'the file removed or shut the agent''s own fence (supabase_migrations.deploy_agent_fence)' USING ERRCODE = 'DA002';
  ELSIF found.rows < pg_catalog.cardinality(of_versions) THEN
    RAISE EXCEPTION 'the history table did not keep the row of this file: a trigger or rule on it is in the way' USING ERRCODE = 'DA002';
  END IF;
  IF found.hit <> '{}' THEN
    written := ARRAY(
      SELECT pg_catalog.format('%I.%I', n.nspname, c.relname)
      FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
      WHERE c.oid = ANY (found.hit)
    );
  END IF;
  INSERT INTO supabase_migrations.deploy_agent_file AS file (deploy_id, version, state, wrote_outside, own_ids)
  SELECT of_deploy, version, 'applied', written, int8multirange(int8range(found.top, found.top, '[]'))
  FROM pg_catalog.unnest(of_versions) AS version
  ON CONFLICT (deploy_id, version) DO UPDATE SET state = 'applied', own_ids = file.own_ids + excluded.own_ids;
  IF found.touched IS NULL AND NOT found.hit && ARRAY[2613, 2995]::oid[] THEN  -- large objects are told by ids, too
    RETURN;
  END IF;
  IF pg_catalog.current_setting('server_version_num')::integer >= 160000 THEN
    PERFORM pg_catalog.pg_stat_clear_snapshot();
    SELECT CASE WHEN NOT s.subxact_overflowed THEN s.subxact_count END INTO inner_ids
    FROM pg_catalog.pg_stat_get_backend_idset() AS b (id)
    CROSS JOIN LATERAL pg_catalog.pg_stat_get_backend_subxact(b.id) AS s
    WHERE pg_catalog.pg_stat_get_backend_pid(b.id) = pg_catalog.pg_backend_pid();
  END IF;
  IF inner_ids IS DISTINCT FROM 0 THEN
    BEGIN  -- one more of them, whose id comes after all others
      UPDATE supabase_migrations.deploy_agent_file SET state = 'applied'
      WHERE deploy_id = of_deploy AND version = (of_versions)[1] RETURNING xmin::text::bigint INTO last;
    EXCEPTION WHEN assert_failure THEN
      RAISE;
    END;
    last := found.top + (last - found.top % 4294967296 + 4294967296) % 4294967296;  -- xmin is its lower 32 bits
  END IF;
  UPDATE supabase_migrations.deploy_agent_file SET
    touched = touched || found.touched,
    replaced = replaced || coalesce(found.replaced, '{}') || found.altered,
    own_ids = own_ids + CASE
      WHEN last IS NULL THEN '{}'
      WHEN last - found.top - 1 = inner_ids THEN int8multirange(int8range(found.top, last, '[]'))
      ELSE int8multirange(int8range(last, last, '[]'))
    END,
    unsure_ids = unsure_ids + CASE WHEN last - found.top - 1 > coalesce(inner_ids, 0) THEN int8multirange(int8range(found.top + 1, last)) ELSE '{}' END
  WHERE deploy_id = of_deploy AND version = of_versions[1];
END
$seal$;
-- Hold: keep the fence open until this transaction ends, or fail with our own SQLSTATE.
CREATE OR REPLACE FUNCTION supabase_migrations.deploy_agent_hold(of_deploy text) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog AS $hold$
BEGIN
  PERFORM FROM supabase_migrations.deploy_agent_fence WHERE deploy_id = of_deploy AND state = 'open' FOR SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'this deploy is being undone by another worker; nothing more was written' USING ERRCODE = 'DA001';
  END IF;
END
$hold$;
REVOKE ALL ON FUNCTION supabase_migrations.deploy_agent_hold, supabase_migrations.deploy_agent_seal FROM PUBLIC
