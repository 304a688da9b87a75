-- Extensions. The version is left out: an update is not undone by dropping what everything may depend on.
SELECT 'extension' AS kind, e.extname AS name, false AS tied,
  format('CREATE EXTENSION IF NOT EXISTS %%I WITH SCHEMA %%I', e.extname, n.nspname) AS create_sql,
  format('DROP EXTENSION IF EXISTS %%I', e.extname) AS drop_sql
FROM pg_extension AS e
JOIN pg_namespace AS n ON n.oid = e.extnamespace
WHERE e.extname <> 'plpgsql'
ORDER BY e.oid
