-- Sessions that wait for a lock right now, and for whom.
SELECT pid, usename AS user, application_name AS application, pg_blocking_pids(pid) AS blocked_by,
  extract(epoch FROM clock_timestamp() - coalesce(state_change, query_start))::float8 AS seconds,
  left(regexp_replace(query, '\s+', ' ', 'g'), 160) AS query
FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND cardinality(pg_blocking_pids(pid)) > 0
ORDER BY state_change
LIMIT 20
