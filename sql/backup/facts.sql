-- What the manifest says about the server, and how big the tables are (heap and TOAST, without indexes).
SELECT
  current_setting('server_version') AS server_version,
  current_setting('server_version_num')::int / 10000 AS server_major,
  CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text AS lsn,
  pg_current_snapshot()::text AS snapshot,
  (SELECT array_agg(nspname ORDER BY nspname) FROM pg_namespace WHERE nspname !~ '^pg_') AS schemas,
  (SELECT array_agg(rolname ORDER BY rolname) FROM pg_roles WHERE rolname !~ '^pg_') AS roles,
  (SELECT array_agg(extname ORDER BY extname) FROM pg_extension WHERE extname <> 'plpgsql') AS extensions,
  (SELECT coalesce(sum(pg_table_size(c.oid)), 0)::bigint
   FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
   WHERE c.relkind IN ('r', 'm') AND n.nspname = ANY (%(schemas)s::text[])) AS table_bytes
