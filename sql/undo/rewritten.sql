-- How tables that were emptied with DELETE can be written anew: rows that are gone, and their entries in the indexes that
-- stay, cost those that follow. ALTER TABLE with a new value for a column does that (PostgreSQL documentation, "ALTER
-- TABLE", notes), of one whose type stays what it is, on which nothing depends, and that has nothing the command would lose.
-- `added`: columns that are gone by then.
SELECT format('%%I.%%I', n.nspname, c.relname) AS name,
  format('ALTER TABLE ONLY %%I.%%I ALTER COLUMN %%I TYPE %%s USING coalesce(%%I, %%I)',
    n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attname, a.attname) AS statement
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_type AS r ON r.oid = c.reltype
CROSS JOIN LATERAL (
  SELECT a.attname, a.atttypid, a.atttypmod
  FROM pg_attribute AS a
  JOIN pg_type AS t ON t.oid = a.atttypid
  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    AND t.typtype = 'b' AND t.typnamespace = 'pg_catalog'::regnamespace AND a.attstorage = 'p' AND a.attcollation = 0
    AND format('%%I.%%I.%%I', n.nspname, c.relname, a.attname) <> ALL (%(added)s::text[])
    AND NOT a.atthasdef AND a.attidentity = '' AND a.attgenerated = '' AND a.attoptions IS NULL
    AND NOT EXISTS (
      SELECT FROM pg_depend AS d
      WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = c.oid AND d.refobjsubid = a.attnum
    )
  ORDER BY a.attnum
  LIMIT 1
) AS a
WHERE format('%%I.%%I', n.nspname, c.relname) = ANY (%(tables)s::text[])
  AND c.relkind = 'r' AND NOT c.relispartition AND c.reloftype = 0
  AND pg_has_role(c.relowner, 'USAGE')
  AND pg_relation_size(c.oid) >= %(least)s
  AND NOT EXISTS (SELECT FROM pg_inherits AS i WHERE c.oid IN (i.inhrelid, i.inhparent))
  AND NOT EXISTS (SELECT FROM pg_trigger AS t WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled IN ('A', 'R'))
  -- columns of its row type
  AND NOT EXISTS (
    SELECT FROM pg_depend AS d
    WHERE d.refclassid = 'pg_type'::regclass AND d.refobjid IN (c.reltype, r.typarray) AND d.deptype = 'n'
      AND d.classid IN ('pg_class'::regclass, 'pg_type'::regclass)
  )
