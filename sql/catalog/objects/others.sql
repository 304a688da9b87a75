-- What has neither privileges nor settings: operators, their classes and families, casts, collations, conversions, text search
-- configurations and dictionaries. The definition is what CREATE says of each.
SELECT o.kind || ':' || o.ident, o.kind, o.classid, o.objid, 0, '', o.definition,
  upper(o.kind), o.ident, o.owner, NULL::aclitem[], NULL::"char", NULL::text[], NULL::text[], NULL, NULL, false, o.namespace
FROM (
  SELECT 'operator', 'pg_operator'::regclass::oid, o.oid, o.oprowner, n.oid,
    format('%%I.%%s (%%s, %%s)', n.nspname, o.oprname, CASE WHEN o.oprleft = 0 THEN 'NONE' ELSE o.oprleft::regtype::text END,
      CASE WHEN o.oprright = 0 THEN 'NONE' ELSE o.oprright::regtype::text END),
    concat_ws(' ', o.oprcode, o.oprresult::regtype, nullif(o.oprcom, 0)::regoperator, nullif(o.oprnegate, 0)::regoperator,
      o.oprrest, o.oprjoin, o.oprcanhash, o.oprcanmerge)
  FROM pg_operator AS o
  JOIN app AS n ON n.oid = o.oprnamespace
  WHERE o.oprcode <> 0
  UNION ALL
  SELECT 'operator class', 'pg_opclass'::regclass, o.oid, o.opcowner, n.oid,
    format('%%I.%%I USING %%I', n.nspname, o.opcname, am.amname),
    concat_ws(' ', o.opcintype::regtype, CASE WHEN o.opcdefault THEN 'DEFAULT' END, 'STORAGE ' || nullif(o.opckeytype, 0)::regtype,
      (SELECT format('FAMILY %%I.%%I', s.nspname, y.opfname)
       FROM pg_opfamily AS y JOIN pg_namespace AS s ON s.oid = y.opfnamespace WHERE y.oid = o.opcfamily))
  FROM pg_opclass AS o
  JOIN app AS n ON n.oid = o.opcnamespace
  JOIN pg_am AS am ON am.oid = o.opcmethod
  UNION ALL
  SELECT 'operator family', 'pg_opfamily'::regclass, f.oid, f.opfowner, n.oid,
    format('%%I.%%I USING %%I', n.nspname, f.opfname, am.amname),
    concat_ws(E'\n',
      (SELECT string_agg(concat_ws(' ', 'OPERATOR', o.amopstrategy, o.amopopr::regoperator, o.amoppurpose,
           nullif(o.amopsortfamily, 0)::regclass), E'\n' ORDER BY o.amopstrategy, o.amopopr::regoperator::text)
       FROM pg_amop AS o WHERE o.amopfamily = f.oid),
      (SELECT string_agg(concat_ws(' ', 'FUNCTION', p.amprocnum, p.amproclefttype::regtype, p.amprocrighttype::regtype,
           p.amproc::regprocedure), E'\n' ORDER BY p.amprocnum, p.amproclefttype::regtype::text, p.amprocrighttype::regtype::text)
       FROM pg_amproc AS p WHERE p.amprocfamily = f.oid))
  FROM pg_opfamily AS f
  JOIN app AS n ON n.oid = f.opfnamespace
  JOIN pg_am AS am ON am.oid = f.opfmethod
  UNION ALL
  SELECT 'cast', 'pg_cast'::regclass, c.oid, NULL, NULL,
    format('(%%s AS %%s)', c.castsource::regtype, c.casttarget::regtype),
    concat_ws(' ', nullif(c.castfunc, 0)::regprocedure, c.castcontext, c.castmethod)
  FROM pg_cast AS c
  JOIN pg_type AS source ON source.oid = c.castsource
  JOIN pg_type AS target ON target.oid = c.casttarget
  LEFT JOIN pg_proc AS p ON p.oid = c.castfunc
  WHERE (source.typnamespace IN (SELECT oid FROM app) OR target.typnamespace IN (SELECT oid FROM app) OR p.pronamespace IN (SELECT oid FROM app))
    AND source.typtype <> 'r'
  UNION ALL
  SELECT 'collation', 'pg_collation'::regclass, c.oid, c.collowner, n.oid, format('%%I.%%I', n.nspname, c.collname),
    (to_jsonb(c) - '{oid,collname,collnamespace,collowner,collversion,collencoding}'::text[]) #>> '{}'
  FROM pg_collation AS c
  JOIN app AS n ON n.oid = c.collnamespace
  UNION ALL
  SELECT 'conversion', 'pg_conversion'::regclass, c.oid, c.conowner, n.oid, format('%%I.%%I', n.nspname, c.conname),
    concat_ws(' ', pg_encoding_to_char(c.conforencoding), pg_encoding_to_char(c.contoencoding), c.conproc, c.condefault)
  FROM pg_conversion AS c
  JOIN app AS n ON n.oid = c.connamespace
  UNION ALL
  SELECT 'text search configuration', 'pg_ts_config'::regclass, c.oid, c.cfgowner, n.oid, format('%%I.%%I', n.nspname, c.cfgname),
    (SELECT format('PARSER %%I.%%I', s.nspname, p.prsname)
     FROM pg_ts_parser AS p JOIN pg_namespace AS s ON s.oid = p.prsnamespace WHERE p.oid = c.cfgparser)
    || coalesce((SELECT string_agg(format(E'\n%%s %%s', m.maptokentype, m.mapdict::regdictionary), '' ORDER BY m.maptokentype, m.mapseqno)
     FROM pg_ts_config_map AS m WHERE m.mapcfg = c.oid), '')
  FROM pg_ts_config AS c
  JOIN app AS n ON n.oid = c.cfgnamespace
  UNION ALL
  SELECT 'text search dictionary', 'pg_ts_dict'::regclass, d.oid, d.dictowner, n.oid, format('%%I.%%I', n.nspname, d.dictname),
    (SELECT format('TEMPLATE %%I.%%I ', s.nspname, t.tmplname)
     FROM pg_ts_template AS t JOIN pg_namespace AS s ON s.oid = t.tmplnamespace WHERE t.oid = d.dicttemplate) || coalesce(d.dictinitoption, '')
  FROM pg_ts_dict AS d
  JOIN app AS n ON n.oid = d.dictnamespace
) AS o (kind, classid, objid, owner, namespace, ident, definition)
WHERE NOT EXISTS (SELECT FROM member AS m WHERE m.classid = o.classid AND m.objid = o.objid)
