-- Columns of tables in these schemas, or in all others, whose values name an object but hold its OID, which is another one when the object is made anew, each with the
-- query that tells whether it holds one of `objects`.
SELECT format('%%I.%%I', n.nspname, c.relname) AS table,
  format('SELECT EXISTS (SELECT FROM ONLY %%I.%%I WHERE %%I::oid%%s) AS found', n.nspname, c.relname, a.attname,
    CASE WHEN base.typelem <> 0 AND base.typcategory = 'A' THEN '[] && %%(objects)s::oid[]' ELSE ' = ANY (%%(objects)s::oid[])' END) AS query
FROM pg_attribute AS a
JOIN pg_class AS c ON c.oid = a.attrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_type AS t ON t.oid = a.atttypid
JOIN pg_type AS base ON base.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
WHERE (n.nspname = ANY (%(schemas)s::text[])) = %(inside)s
  AND n.nspname !~ '^(pg_|information_schema$|supabase_migrations$)'
  AND has_table_privilege(c.oid, 'SELECT')
  AND c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
  AND CASE WHEN base.typcategory = 'A' THEN base.typelem ELSE base.oid END = ANY (
    ARRAY['regclass', 'regproc', 'regprocedure', 'regoper', 'regoperator', 'regtype', 'regconfig', 'regdictionary',
      'regcollation']::regtype[]::oid[])
ORDER BY 1
