-- The server's own time, in unix seconds.
SELECT extract(epoch FROM clock_timestamp())::float8 AS now
