-- Text search configurations and dictionaries, and extended statistics.
SELECT 'text search configuration:' || i.ident, 'text search configuration', 'pg_ts_config'::regclass::oid, c.oid, 0, '',
  (SELECT format('PARSER %%I.%%I', s.nspname, p.prsname)
   FROM pg_ts_parser AS p JOIN pg_namespace AS s ON s.oid = p.prsnamespace WHERE p.oid = c.cfgparser)
  || coalesce((SELECT string_agg(format(E'\n%%s %%s', m.maptokentype, m.mapdict::regdictionary), '' ORDER BY m.maptokentype, m.mapseqno)
   FROM pg_ts_config_map AS m WHERE m.mapcfg = c.oid), ''),
  'TEXT SEARCH CONFIGURATION', i.ident, c.cfgowner, NULL::aclitem[], NULL::"char", NULL::text[], NULL::text[], NULL, NULL, false, c.cfgnamespace
FROM pg_ts_config AS c
JOIN app AS n ON n.oid = c.cfgnamespace
CROSS JOIN LATERAL (SELECT format('%%I.%%I', n.nspname, c.cfgname) AS ident) AS i
WHERE NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_ts_config'::regclass AND m.objid = c.oid)
UNION ALL
SELECT 'text search dictionary:' || i.ident, 'text search dictionary', 'pg_ts_dict'::regclass::oid, d.oid, 0, '',
  (SELECT format('TEMPLATE %%I.%%I ', s.nspname, t.tmplname)
   FROM pg_ts_template AS t JOIN pg_namespace AS s ON s.oid = t.tmplnamespace WHERE t.oid = d.dicttemplate) || coalesce(d.dictinitoption, ''),
  'TEXT SEARCH DICTIONARY', i.ident, d.dictowner, NULL, NULL, NULL, NULL, NULL, NULL, false, d.dictnamespace
FROM pg_ts_dict AS d
JOIN app AS n ON n.oid = d.dictnamespace
CROSS JOIN LATERAL (SELECT format('%%I.%%I', n.nspname, d.dictname) AS ident) AS i
WHERE NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_ts_dict'::regclass AND m.objid = d.oid)
UNION ALL
SELECT 'statistics:' || i.ident, 'statistics', 'pg_statistic_ext'::regclass::oid, s.oid, 0, '',
  pg_get_statisticsobjdef(s.oid),
  'STATISTICS', i.ident, s.stxowner, NULL, NULL,
  ARRAY[format('statistics=ALTER STATISTICS %%s SET STATISTICS ', i.ident) || nullif(s.stxstattarget, -1)],
  ARRAY[CASE WHEN s.stxstattarget <> -1 THEN format('statistics=ALTER STATISTICS %%s SET STATISTICS -1', i.ident) END],
  NULL, NULL, false, s.stxnamespace
FROM pg_statistic_ext AS s
JOIN app AS n ON n.oid = s.stxnamespace
CROSS JOIN LATERAL (SELECT format('%%I.%%I', n.nspname, s.stxname) AS ident) AS i
WHERE NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_statistic_ext'::regclass AND m.objid = s.oid)
