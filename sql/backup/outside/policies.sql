-- Row-level security policies on tables of other schemas, such as storage.objects.
SELECT 'policy' AS kind, format('%%I on %%I.%%I', p.polname, n.nspname, c.relname) AS name,
  d.tied AS tied, 'pg_policy'::regclass::oid::int8 AS classid, p.oid::int8 AS objid,
  concat_ws(E';\n',
    format('CREATE POLICY %%I ON %%I.%%I AS %%s FOR %%s TO %%s%%s%%s', p.polname, n.nspname, c.relname,
      CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
      CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
      (SELECT string_agg(CASE WHEN o.oid = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(o.oid)) END, ', ' ORDER BY o.n)
       FROM unnest(p.polroles) WITH ORDINALITY AS o (oid, n)),
      ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
      ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'),
    format('COMMENT ON POLICY %%I ON %%I.%%I IS ', p.polname, n.nspname, c.relname)
      || quote_literal(obj_description(p.oid, 'pg_policy'))) AS create_sql,
  format('DROP POLICY IF EXISTS %%I ON %%I.%%I', p.polname, n.nspname, c.relname) AS drop_sql
FROM pg_policy AS p
JOIN pg_class AS c ON c.oid = p.polrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
  SELECT EXISTS (
    SELECT FROM pg_depend AS d
    JOIN pg_namespace AS app ON app.nspname = ANY (%(schemas)s::text[])
    WHERE d.classid = 'pg_policy'::regclass AND d.objid = p.oid AND d.deptype = 'n'
      AND ((d.refclassid = 'pg_proc'::regclass AND d.refobjid IN (SELECT oid FROM pg_proc WHERE pronamespace = app.oid))
        OR (d.refclassid = 'pg_class'::regclass AND d.refobjid IN (SELECT oid FROM pg_class WHERE relnamespace = app.oid))
        OR (d.refclassid = 'pg_type'::regclass AND d.refobjid IN (SELECT oid FROM pg_type WHERE typnamespace = app.oid)))
  ) AS tied
) AS d
WHERE n.nspname <> ALL (%(schemas)s::text[])
  AND (d.tied OR NOT EXISTS (
    SELECT FROM pg_depend AS e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e'
  ))
ORDER BY n.nspname, c.relname, p.polname
