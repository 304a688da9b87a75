-- For this transaction: definitions with qualified names whatever the role's search path is, several workers for a
-- big table, and values written in one way whatever the database's settings are: another database's must compare.
-- Nothing is compiled: of the catalog's query that would be 800 functions, and take far longer than the query (one script).
SET LOCAL search_path = pg_catalog;
SET LOCAL jit = off;
SET LOCAL max_parallel_workers_per_gather = 4;
SET LOCAL DateStyle = 'ISO, MDY';
SET LOCAL IntervalStyle = postgres;
SET LOCAL TimeZone = 'UTC';
SET LOCAL extra_float_digits = 1;
SET LOCAL bytea_output = hex;
SET LOCAL xmloption = content
