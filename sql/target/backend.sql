-- What the server says one of our backends is doing, and since when; no row: it is gone.
SELECT state, extract(epoch FROM clock_timestamp() - state_change)::float8 AS seconds
FROM pg_stat_activity
WHERE pid = %(pid)s
