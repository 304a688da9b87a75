-- Transactions of others that have been open for long: a migration waits for their locks, and everybody behind it.
SELECT pid, usename AS user, application_name AS application, state,
  extract(epoch FROM clock_timestamp() - xact_start)::float8 AS seconds,
  left(regexp_replace(query, '\s+', ' ', 'g'), 160) AS query
FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
  AND application_name <> current_setting('application_name')
  AND xact_start <= clock_timestamp() - make_interval(secs => %(seconds)s)
ORDER BY xact_start
LIMIT 20
