-- The snapshot that the rows are read in.
SELECT pg_current_snapshot()::text AS snapshot
