-- Relations that the agent itself writes to in each migration's transaction, with what belongs to them.
WITH own (id, toast) AS (
  SELECT oid, reltoastrelid FROM pg_class WHERE relnamespace = 'supabase_migrations'::regnamespace
)
SELECT id AS oid FROM own
UNION ALL
SELECT toast FROM own WHERE toast <> 0
UNION ALL
SELECT indexrelid FROM pg_index WHERE indrelid IN (SELECT toast FROM own WHERE toast <> 0)
