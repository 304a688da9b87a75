-- Foreign keys of tables that stay as they are, to tables that are loaded again; validated ones: others promise nothing.
-- `child`, `parent`: the tables; `alone`: without what inherits from it; `columns`: those of the parent; `joined`, `given`: when a row points at another, and when at any.
SELECT k.oid, format('%%I.%%I', m.nspname, child.relname) AS child,
  (SELECT string_agg(format('p.%%I', a.attname), ', ' ORDER BY x.place)
   FROM unnest(k.confkey) WITH ORDINALITY AS x (attnum, place)
   JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = x.attnum) AS columns,
  format('%%I.%%I', n.nspname, c.relname) AS parent,
  CASE WHEN c.relkind = 'r' THEN 'ONLY ' ELSE '' END AS alone,
  (SELECT string_agg(format('p.%%I OPERATOR(%%I.%%s) c.%%I', pa.attname, s.nspname, o.oprname, ca.attname), ' AND ')
   FROM unnest(k.conkey, k.confkey, k.conpfeqop) AS x (child, parent, op)
   JOIN pg_catalog.pg_attribute AS ca ON ca.attrelid = k.conrelid AND ca.attnum = x.child
   JOIN pg_catalog.pg_attribute AS pa ON pa.attrelid = k.confrelid AND pa.attnum = x.parent
   JOIN pg_catalog.pg_operator AS o ON o.oid = x.op
   JOIN pg_catalog.pg_namespace AS s ON s.oid = o.oprnamespace) AS joined,
  (SELECT string_agg(format('c.%%I IS NOT NULL', ca.attname), ' AND ')
   FROM unnest(k.conkey) AS x (child)
   JOIN pg_catalog.pg_attribute AS ca ON ca.attrelid = k.conrelid AND ca.attnum = x.child) AS given
FROM pg_catalog.pg_constraint AS k
JOIN pg_catalog.pg_class AS c ON c.oid = k.confrelid
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class AS child ON child.oid = k.conrelid
JOIN pg_catalog.pg_namespace AS m ON m.oid = child.relnamespace
WHERE k.contype = 'f' AND k.convalidated
  AND format('%%I.%%I', n.nspname, c.relname) = ANY (%(tables)s::text[])
  AND format('%%I.%%I', m.nspname, child.relname) <> ALL (%(tables)s::text[])
