-- Prepared transactions of this database: they keep their locks across restarts until somebody ends them.
SELECT gid, owner, extract(epoch FROM clock_timestamp() - prepared)::float8 AS seconds
FROM pg_prepared_xacts
WHERE database = current_database()
ORDER BY prepared
LIMIT 20
