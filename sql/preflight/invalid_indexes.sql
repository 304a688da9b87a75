-- Indexes that an interrupted CREATE INDEX CONCURRENTLY or REINDEX CONCURRENTLY left behind, and none that is being built.
SELECT format('%%I.%%I', n.nspname, c.relname) AS index, i.indrelid::regclass::text AS table
FROM pg_index AS i
JOIN pg_class AS c ON c.oid = i.indexrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname = ANY (%(schemas)s::text[])
  AND NOT EXISTS (SELECT FROM pg_stat_progress_create_index AS p WHERE p.index_relid = i.indexrelid)
ORDER BY 1
LIMIT 20
