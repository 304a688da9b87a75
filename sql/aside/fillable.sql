-- Which of these tables and sequences of Supabase's own are there and may be filled, and emptied again, by us.
SELECT w.schema, w.name
FROM jsonb_to_recordset(%(names)s::jsonb) AS w (schema text, name text)
JOIN pg_namespace AS n ON n.nspname = w.schema
JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = w.name
WHERE CASE c.relkind
  WHEN 'r' THEN has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
    AND has_table_privilege(c.oid, 'DELETE')
  WHEN 'S' THEN has_sequence_privilege(c.oid, 'UPDATE')
  ELSE false
END
