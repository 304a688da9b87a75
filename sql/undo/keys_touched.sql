-- Foreign keys between a table that is filled again (`loaded`) and one that is not; validated ones: others promise nothing.
-- `columns`: those of `loaded` in the key; `alone`: without what inherits from it; `child`, `parent`: the two sides;
-- `joined`, `given`: when a row points at another, and when at any; `other`: the side that is not filled again.
SELECT k.oid, l.oid AS relation, format('%%I.%%I', ln.nspname, l.relname) AS loaded,
  CASE WHEN l.relkind = 'r' THEN 'ONLY ' ELSE '' END AS alone,
  (SELECT string_agg(format('l.%%I', a.attname), ', ' ORDER BY x.place)
   FROM unnest(CASE WHEN side.is_child THEN k.conkey ELSE k.confkey END) WITH ORDINALITY AS x (attnum, place)
   JOIN pg_catalog.pg_attribute AS a ON a.attnum = x.attnum
     AND a.attrelid = CASE WHEN side.is_child THEN k.conrelid ELSE k.confrelid END) AS columns,
  format('%%s%%I.%%I', CASE WHEN c.relkind = 'r' THEN 'ONLY ' ELSE '' END, cn.nspname, c.relname) AS child,
  format('%%s%%I.%%I', CASE WHEN p.relkind = 'r' THEN 'ONLY ' ELSE '' END, pn.nspname, p.relname) AS parent,
  (SELECT string_agg(format('p.%%I OPERATOR(%%I.%%s) c.%%I', pa.attname, s.nspname, o.oprname, ca.attname), ' AND ')
   FROM unnest(k.conkey, k.confkey, k.conpfeqop) AS x (child, parent, op)
   JOIN pg_catalog.pg_attribute AS ca ON ca.attrelid = k.conrelid AND ca.attnum = x.child
   JOIN pg_catalog.pg_attribute AS pa ON pa.attrelid = k.confrelid AND pa.attnum = x.parent
   JOIN pg_catalog.pg_operator AS o ON o.oid = x.op
   JOIN pg_catalog.pg_namespace AS s ON s.oid = o.oprnamespace) AS joined,
  (SELECT string_agg(format('c.%%I IS NOT NULL', ca.attname), ' AND ')
   FROM unnest(k.conkey) AS x (child)
   JOIN pg_catalog.pg_attribute AS ca ON ca.attrelid = k.conrelid AND ca.attnum = x.child) AS given,
  CASE WHEN side.is_child THEN format('%%I.%%I', pn.nspname, p.relname) ELSE format('%%I.%%I', cn.nspname, c.relname) END
    AS other
FROM pg_catalog.pg_class AS l
JOIN pg_catalog.pg_namespace AS ln ON ln.oid = l.relnamespace
CROSS JOIN (VALUES (true), (false)) AS side (is_child)
-- A key to a partitioned table is about the rows of all its partitions.
JOIN pg_catalog.pg_constraint AS k ON CASE WHEN side.is_child THEN k.conrelid = l.oid
  ELSE k.confrelid = l.oid OR k.confrelid IN (SELECT up.relid FROM pg_catalog.pg_partition_ancestors(l.oid) AS up) END
JOIN pg_catalog.pg_class AS c ON c.oid = k.conrelid
JOIN pg_catalog.pg_namespace AS cn ON cn.oid = c.relnamespace
JOIN pg_catalog.pg_class AS p ON p.oid = k.confrelid
JOIN pg_catalog.pg_namespace AS pn ON pn.oid = p.relnamespace
WHERE k.contype = 'f' AND k.convalidated
  AND format('%%I.%%I', ln.nspname, l.relname) = ANY (%(tables)s::text[])
  AND NOT (CASE WHEN side.is_child THEN format('%%I.%%I', pn.nspname, p.relname) ELSE format('%%I.%%I', cn.nspname, c.relname) END
    = ANY (%(loaded)s::text[]))
  -- the key of the whole says all that its image for one partition of the parent does
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS up WHERE up.oid = k.conparentid AND up.conrelid = k.conrelid)
