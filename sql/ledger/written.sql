-- Sent behind a statement in one message: which of the watched tables this session has written to, to which relations
-- at all, and under which transaction id. As in ledger/seal.
SELECT
  ARRAY(
    SELECT pg_catalog.format('%%I.%%I', n.nspname, c.relname)
    FROM pg_catalog.unnest(%(watched)s::pg_catalog.oid[]) AS watched (oid)
    JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) watched.oid
    JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
    WHERE pg_catalog.pg_stat_get_xact_tuples_updated(watched.oid) OPERATOR(pg_catalog.>) 0
      OR c.relname OPERATOR(pg_catalog.<>) 'pg_authid' AND (
        pg_catalog.pg_stat_get_xact_tuples_inserted(watched.oid) OPERATOR(pg_catalog.>) 0
        OR pg_catalog.pg_stat_get_xact_tuples_deleted(watched.oid) OPERATOR(pg_catalog.>) 0)
  ) AS names,
  (pg_catalog.pg_current_xact_id_if_assigned()::text)::bigint AS id,
  coalesce(pg_catalog.array_agg(l.relation), '{}') AS touched,
  coalesce(pg_catalog.array_agg(l.relation) FILTER (
    WHERE pg_catalog.pg_stat_get_xact_tuples_updated(l.relation) OPERATOR(pg_catalog.>) 0
      OR pg_catalog.pg_stat_get_xact_tuples_deleted(l.relation) OPERATOR(pg_catalog.>) 0
      OR pg_catalog.current_setting('track_counts') OPERATOR(pg_catalog.=) 'off'
  ), '{}') || ARRAY(
    SELECT watched.oid FROM pg_catalog.unnest(%(watched)s::pg_catalog.oid[]) AS watched (oid)
    WHERE watched.oid OPERATOR(pg_catalog.=) 'pg_catalog.pg_largeobject_metadata'::pg_catalog.regclass
      AND pg_catalog.pg_stat_get_xact_tuples_updated(watched.oid) OPERATOR(pg_catalog.>) 0
  ) AS replaced
FROM pg_catalog.pg_lock_status() AS l
WHERE l.pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid() AND l.mode OPERATOR(pg_catalog.=) 'RowExclusiveLock'
  AND l.relation OPERATOR(pg_catalog.>=) 16384
