-- Whether a deploy's transaction is open, and the server's time: asked before the history, never after.
SELECT
  extract(epoch FROM clock_timestamp())::float8 AS now,
  pg_is_in_recovery() AS replica,
  EXISTS (
    SELECT FROM pg_locks AS l
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (l.classid::bigint << 32 | l.objid::bigint) = x'6465706c6f796131'::bigint
  ) AS held
