-- Where each sequence stands. The view does not tell that of one that was never used, or may not be read: `query` reads it.
SELECT q.name, q.last_value, q.increment_by, has_sequence_privilege(q.oid, 'SELECT') AS readable,
  format('SELECT %%L AS name, last_value, is_called, %%s::bigint AS increment_by FROM %%s', q.name, q.increment_by, q.name) AS query
FROM (
  SELECT s.*, format('%%I.%%I', s.schemaname, s.sequencename) AS name, format('%%I.%%I', s.schemaname, s.sequencename)::regclass AS oid
  FROM pg_sequences AS s
  WHERE s.schemaname = ANY (%(schemas)s::text[])
) AS q
ORDER BY q.name
