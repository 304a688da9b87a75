-- Which columns the history table has; no rows: there is no such table.
SELECT a.attname AS name, format_type(a.atttypid, a.atttypmod) AS type
FROM pg_attribute AS a
WHERE a.attrelid = to_regclass('supabase_migrations.schema_migrations') AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
