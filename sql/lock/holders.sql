-- Who holds the deploy lock; `same_name`: a session that has the name of this one.
SELECT a.pid, a.usename, a.application_name, a.client_addr::text AS client, a.backend_start,
  a.application_name = current_setting('application_name') AS same_name
FROM pg_locks AS l
JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (l.classid::bigint << 32 | l.objid::bigint) = x'6465706c6f796131'::bigint
  AND l.pid <> pg_backend_pid()
