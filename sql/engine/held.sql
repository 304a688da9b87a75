-- Whether some session holds an executor's lock; looked at, not tried, so that its worker can take it again meanwhile.
SELECT EXISTS (
  SELECT FROM pg_locks AS l
  WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (l.classid::bigint << 32 | l.objid::bigint) = %(key)s::bigint
) AS held
