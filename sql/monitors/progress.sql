-- How far a backend is with building an index, CLUSTER or VACUUM FULL, VACUUM, COPY.
-- PostgreSQL documentation, "Progress Reporting".
SELECT lower(command) AS what, relid::regclass::text AS object, phase,
       CASE WHEN blocks_total > 0 THEN blocks_done ELSE tuples_done END AS done,
       CASE WHEN blocks_total > 0 THEN blocks_total ELSE tuples_total END AS total
FROM pg_stat_progress_create_index WHERE pid = %(pid)s
UNION ALL
SELECT lower(command), relid::regclass::text, phase, heap_blks_scanned, heap_blks_total
FROM pg_stat_progress_cluster WHERE pid = %(pid)s
UNION ALL
SELECT 'vacuum', relid::regclass::text, phase, heap_blks_scanned, heap_blks_total
FROM pg_stat_progress_vacuum WHERE pid = %(pid)s
UNION ALL
SELECT lower(command), relid::regclass::text, '', bytes_processed, bytes_total
FROM pg_stat_progress_copy WHERE pid = %(pid)s
