-- Who holds up our restore.
SELECT b.pid, b.usename AS user, b.application_name AS application, left(b.query, 200) AS query, b.state,
  extract(epoch FROM clock_timestamp() - b.xact_start)::float8 AS seconds
FROM pg_stat_activity AS a
CROSS JOIN LATERAL unnest(pg_blocking_pids(a.pid)) AS blocker (pid)
JOIN pg_stat_activity AS b ON b.pid = blocker.pid
WHERE a.datname = current_database() AND a.application_name = 'deploy-agent/tools'
