-- Casts from or to types of the application: a cast is in no schema, so pg_dump of some schemas leaves it out.
SELECT 'cast' AS kind, cast_.name AS name, true AS tied, 'pg_cast'::regclass::oid::int8 AS classid, c.oid::int8 AS objid,
  concat_ws(E';\n',
    format('CREATE CAST %%s %%s%%s', cast_.name,
      CASE c.castmethod WHEN 'f' THEN 'WITH FUNCTION ' || c.castfunc::regprocedure WHEN 'i' THEN 'WITH INOUT' ELSE 'WITHOUT FUNCTION' END,
      CASE c.castcontext WHEN 'a' THEN ' AS ASSIGNMENT' WHEN 'i' THEN ' AS IMPLICIT' END),
    format('COMMENT ON CAST %%s IS ', cast_.name) || quote_literal(obj_description(c.oid, 'pg_cast'))) AS create_sql,
  format('DROP CAST IF EXISTS %%s', cast_.name) AS drop_sql
FROM pg_cast AS c
JOIN pg_type AS source ON source.oid = c.castsource
JOIN pg_type AS target ON target.oid = c.casttarget
LEFT JOIN pg_proc AS p ON p.oid = c.castfunc
CROSS JOIN LATERAL (
  SELECT format('(%%s AS %%s)', format_type(source.oid, NULL), format_type(target.oid, NULL)) AS name
) AS cast_
WHERE EXISTS (
    SELECT FROM pg_namespace AS app
    WHERE app.nspname = ANY (%(schemas)s::text[]) AND app.oid IN (source.typnamespace, target.typnamespace, p.pronamespace)
  )
  AND (pg_has_role(source.typowner, 'USAGE') OR pg_has_role(target.typowner, 'USAGE'))
  AND NOT EXISTS (
    SELECT FROM pg_depend AS d WHERE d.classid = 'pg_cast'::regclass AND d.objid = c.oid AND d.deptype IN ('e', 'i')
  )
ORDER BY c.oid
