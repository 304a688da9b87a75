-- Extended statistics.
SELECT 'statistics:' || i.ident, 'statistics', 'pg_statistic_ext'::regclass::oid, s.oid, 0, '',
  pg_get_statisticsobjdef(s.oid),
  'STATISTICS', i.ident, s.stxowner, NULL::aclitem[], NULL::"char",
  ARRAY[format('statistics=ALTER STATISTICS %%s SET STATISTICS ', i.ident) || nullif(s.stxstattarget, -1)],
  ARRAY[CASE WHEN s.stxstattarget <> -1 THEN format('statistics=ALTER STATISTICS %%s SET STATISTICS -1', i.ident) END],
  NULL, NULL, false, s.stxnamespace
FROM pg_statistic_ext AS s
JOIN app AS n ON n.oid = s.stxnamespace
CROSS JOIN LATERAL (SELECT format('%%I.%%I', n.nspname, s.stxname) AS ident) AS i
WHERE NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_statistic_ext'::regclass AND m.objid = s.oid)
