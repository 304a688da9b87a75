-- The application's tables that rows are kept of, with their columns (generated ones make themselves) as they are
-- written in a COPY. `replaced`: the deploy did not only add rows there, so that a row of its own may be one that the
-- application had written; `rewritten`: and every row has the deploy's transaction id now. `pages`: of its rows.
SELECT
  format('%%I.%%I', n.nspname, c.relname) AS name,
  coalesce(array_agg(a.attname ORDER BY a.attnum) FILTER (WHERE a.attnum IS NOT NULL), '{}') AS columns,
  coalesce(string_agg(format(', t.%%I', a.attname), '' ORDER BY a.attnum) FILTER (WHERE a.attnum IS NOT NULL), '') AS list,
  coalesce(bool_or(c.oid = ANY (%(replaced)s::oid[])), false) OR before.filenode IS DISTINCT FROM pg_relation_filenode(c.oid) AS replaced,
  coalesce(before.filenode <> pg_relation_filenode(c.oid), false) AS rewritten,
  pg_relation_size(c.oid) / current_setting('block_size')::int AS pages
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN unnest(%(ids)s::oid[], %(filenodes)s::oid[]) AS before (id, filenode) ON before.id = c.oid
LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
WHERE n.nspname = ANY (%(schemas)s::text[])
  AND c.relkind = 'r'
  AND has_table_privilege(c.oid, 'SELECT')
  AND (%(only)s::text[] IS NULL OR format('%%I.%%I', n.nspname, c.relname) = ANY (%(only)s::text[]))
  AND NOT EXISTS (
    SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
  )
GROUP BY n.nspname, c.relname, c.oid, before.filenode
ORDER BY c.oid
