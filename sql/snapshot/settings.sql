-- For this transaction: definitions with qualified names whatever the role's search path is, and several workers for a
-- big table (one script).
SET LOCAL search_path = pg_catalog;
SET LOCAL max_parallel_workers_per_gather = 4
