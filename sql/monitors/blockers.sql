-- Who keeps a backend waiting for a lock. A blocker without a backend is a prepared transaction. Another role's query
-- is visible only to members of pg_read_all_stats.
SELECT blocker.pid, b.usename::text AS "user", b.application_name AS application,
       coalesce(b.state, 'prepared transaction') AS state,
       left(regexp_replace(b.query, '\s+', ' ', 'g'), 160) AS query,
       extract(epoch FROM clock_timestamp() - coalesce(b.xact_start, b.state_change))::float8 AS seconds
FROM unnest(pg_blocking_pids(%(pid)s)) AS blocker (pid)
LEFT JOIN pg_stat_activity AS b ON b.pid = blocker.pid
ORDER BY b.xact_start
