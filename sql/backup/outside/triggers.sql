-- Triggers on tables of other schemas, such as auth.users, except Supabase's own: those call a function beside their table.
SELECT 'trigger' AS kind, format('%%I on %%I.%%I', t.tgname, n.nspname, c.relname) AS name,
  d.tied AS tied, 'pg_trigger'::regclass::oid::int8 AS classid, t.oid::int8 AS objid,
  concat_ws(E';\n', pg_get_triggerdef(t.oid),
    CASE t.tgenabled
      WHEN 'D' THEN format('ALTER TABLE %%I.%%I DISABLE TRIGGER %%I', n.nspname, c.relname, t.tgname)
      WHEN 'R' THEN format('ALTER TABLE %%I.%%I ENABLE REPLICA TRIGGER %%I', n.nspname, c.relname, t.tgname)
      WHEN 'A' THEN format('ALTER TABLE %%I.%%I ENABLE ALWAYS TRIGGER %%I', n.nspname, c.relname, t.tgname)
    END,
    format('COMMENT ON TRIGGER %%I ON %%I.%%I IS ', t.tgname, n.nspname, c.relname)
      || quote_literal(obj_description(t.oid, 'pg_trigger'))) AS create_sql,
  format('DROP TRIGGER IF EXISTS %%I ON %%I.%%I', t.tgname, n.nspname, c.relname) AS drop_sql
FROM pg_trigger AS t
JOIN pg_class AS c ON c.oid = t.tgrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_proc AS p ON p.oid = t.tgfoid
CROSS JOIN LATERAL (
  SELECT EXISTS (
    SELECT FROM pg_depend AS d
    JOIN pg_namespace AS app ON app.nspname = ANY (%(schemas)s::text[])
    WHERE d.classid = 'pg_trigger'::regclass AND d.objid = t.oid AND d.deptype = 'n'
      AND ((d.refclassid = 'pg_proc'::regclass AND d.refobjid IN (SELECT oid FROM pg_proc WHERE pronamespace = app.oid))
        OR (d.refclassid = 'pg_class'::regclass AND d.refobjid IN (SELECT oid FROM pg_class WHERE relnamespace = app.oid))
        OR (d.refclassid = 'pg_type'::regclass AND d.refobjid IN (SELECT oid FROM pg_type WHERE typnamespace = app.oid)))
  ) AS tied
) AS d
WHERE NOT t.tgisinternal
  AND t.tgparentid = 0
  AND n.nspname <> ALL (%(schemas)s::text[])
  AND n.nspname !~ '^pg_(toast|temp)'
  AND p.pronamespace <> c.relnamespace
  AND (d.tied OR NOT EXISTS (
    SELECT FROM pg_depend AS e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid AND e.deptype = 'e'
  ))
ORDER BY n.nspname, c.relname, t.tgname
