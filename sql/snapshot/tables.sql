-- The tables whose rows are compared, each with the query that reduces its content to two numbers.
-- Sum and count, not xor: doubled rows cancel in xor. A row's hash is hashed once more: it is itself a sum over the columns,
-- in which values that two rows have swapped cancel. "2:": this way to do it.
-- A type is hashed by value where equality means identity, through its binary form where it does not
-- (1.0 and 1.00 are equal numerics, '1 mon' and '30 days' equal intervals), and as text where it has neither. So is jsonb:
-- to its hash {}, [] and NULL are the same.
-- An enum goes as text: its hash is that of an OID, which is another one after a restore.
-- `members`: those that belong to an extension too. `only`: these tables; null: all. `without`: columns to leave out.
-- A materialized view is left out: it is made of other tables, and a
-- restore makes it anew. A table without columns has rows all the same.
SELECT
  format('%%I.%%I', n.nspname, c.relname) AS name,
  pg_table_size(c.oid) AS bytes,
  format(
    'SELECT count(*) AS rows, ''2:'' || coalesce(sum(hash_record_extended(ROW(int8send('
    'hash_record_extended(ROW(%%s), 0))), 0)), 0) AS hash FROM ONLY %%I.%%I',
    coalesce(string_agg(
    CASE
      WHEN base.typname IN ('bool', 'int2', 'int4', 'int8', 'oid', 'text', 'varchar', 'name', 'uuid', 'date', 'time',
                            'timestamp', 'timestamptz', 'bytea', 'inet', 'cidr', 'macaddr')
        AND base.typnamespace = 'pg_catalog'::regnamespace
        AND coalesce(coll.collisdeterministic, true) THEN format('%%I', a.attname)
      WHEN base.typname IN ('text', 'varchar') THEN format('%%I COLLATE "C"', a.attname)
      WHEN base.typname = 'numeric' THEN format('numeric_send(%%I)', a.attname)
      WHEN base.typname = 'float8' THEN format('float8send(%%I)', a.attname)
      WHEN base.typname = 'float4' THEN format('float4send(%%I)', a.attname)
      WHEN base.typname = 'bpchar' THEN format('bpcharsend(%%I)', a.attname)
      WHEN base.typname = 'interval' THEN format('interval_send(%%I)', a.attname)
      WHEN base.typcategory = 'A' AND element.typname IN ('bool', 'int2', 'int4', 'int8', 'text', 'varchar', 'uuid')
        THEN format('array_send(%%I)', a.attname)
      ELSE format('%%I::text', a.attname)
    END, ', ' ORDER BY a.attnum
    ) FILTER (WHERE a.attnum IS NOT NULL), '0'), n.nspname, c.relname
  ) AS query
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  AND format('%%I.%%I.%%I', n.nspname, c.relname, a.attname) <> ALL (%(without)s::text[])
LEFT JOIN pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_type AS base ON base.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
LEFT JOIN pg_type AS element ON element.oid = base.typelem
LEFT JOIN pg_collation AS coll ON coll.oid = a.attcollation
WHERE n.nspname = ANY (%(schemas)s::text[])
  AND (%(only)s::text[] IS NULL OR format('%%I.%%I', n.nspname, c.relname) = ANY (%(only)s::text[]))
  AND c.relkind = 'r'
  AND c.relpersistence <> 't'
  AND has_table_privilege(c.oid, 'SELECT')
  AND (%(members)s OR NOT EXISTS (
    SELECT FROM pg_depend AS d
    WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
  ))
GROUP BY n.nspname, c.relname, c.oid
ORDER BY pg_table_size(c.oid) DESC, n.nspname, c.relname
