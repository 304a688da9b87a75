-- Sent behind a statement in one message: which of the watched tables this session has written to.
SELECT pg_catalog.format('%%I.%%I', n.nspname, c.relname) AS name
FROM pg_catalog.unnest(%(watched)s::pg_catalog.oid[]) AS watched (oid)
JOIN pg_catalog.pg_class AS c ON c.oid OPERATOR(pg_catalog.=) watched.oid
JOIN pg_catalog.pg_namespace AS n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace
WHERE pg_catalog.pg_stat_get_xact_tuples_updated(watched.oid) > 0
  OR c.relname <> 'pg_authid' AND (pg_catalog.pg_stat_get_xact_tuples_inserted(watched.oid) > 0
    OR pg_catalog.pg_stat_get_xact_tuples_deleted(watched.oid) > 0)
