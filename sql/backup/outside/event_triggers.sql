-- Event triggers of roles that we can act for; tied are those that call a function that a restore drops.
SELECT 'event trigger' AS kind, e.evtname AS name, n.nspname = ANY (%(schemas)s::text[]) AND pg_has_role(p.proowner, 'USAGE') AS tied,
  'pg_event_trigger'::regclass::oid::int8 AS classid, e.oid::int8 AS objid,
  concat_ws(E';\n',
    format('CREATE EVENT TRIGGER %%I ON %%s%%s EXECUTE FUNCTION %%I.%%I()', e.evtname, e.evtevent,
      (SELECT ' WHEN TAG IN (' || string_agg(quote_literal(t.tag), ', ' ORDER BY t.n) || ')'
       FROM unnest(e.evttags) WITH ORDINALITY AS t (tag, n)), n.nspname, p.proname),
    CASE e.evtenabled
      WHEN 'D' THEN format('ALTER EVENT TRIGGER %%I DISABLE', e.evtname)
      WHEN 'R' THEN format('ALTER EVENT TRIGGER %%I ENABLE REPLICA', e.evtname)
      WHEN 'A' THEN format('ALTER EVENT TRIGGER %%I ENABLE ALWAYS', e.evtname)
    END,
    format('COMMENT ON EVENT TRIGGER %%I IS ', e.evtname)
      || quote_literal(obj_description(e.oid, 'pg_event_trigger'))) AS create_sql,
  format('DROP EVENT TRIGGER IF EXISTS %%I', e.evtname) AS drop_sql
FROM pg_event_trigger AS e
JOIN pg_proc AS p ON p.oid = e.evtfoid
JOIN pg_namespace AS n ON n.oid = p.pronamespace
WHERE pg_has_role(e.evtowner, 'USAGE')
  AND NOT EXISTS (
    SELECT FROM pg_depend AS d WHERE d.classid = 'pg_event_trigger'::regclass AND d.objid = e.oid AND d.deptype = 'e'
  )
ORDER BY e.evtname
