-- What lies in no schema: extensions, event triggers, publications, default privileges, foreign servers.
-- Options of servers may hold secrets, so only their md5 is shown.
SELECT 'extension:' || quote_ident(e.extname), 'extension', 'pg_extension'::regclass::oid, e.oid, 0, '',
  format('SCHEMA %%I VERSION %%L', n.nspname, e.extversion),
  'EXTENSION', quote_ident(e.extname), NULL::oid, NULL::aclitem[], NULL::"char", NULL::text[], NULL::text[], NULL, NULL, false, NULL::oid
FROM pg_extension AS e
JOIN pg_namespace AS n ON n.oid = e.extnamespace
UNION ALL
SELECT 'event trigger:' || quote_ident(e.evtname), 'event trigger', 'pg_event_trigger'::regclass::oid, e.oid, 0, '',
  concat_ws(' ', 'ON', e.evtevent, 'WHEN TAG IN (' || array_to_string(e.evttags, ', ') || ')', 'EXECUTE FUNCTION', e.evtfoid::regprocedure),
  'EVENT TRIGGER', quote_ident(e.evtname), e.evtowner, NULL, NULL,
  ARRAY[CASE WHEN e.evtenabled <> 'O' THEN format('enabled=ALTER EVENT TRIGGER %%I %%s', e.evtname,
    CASE e.evtenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END) END],
  ARRAY[CASE WHEN e.evtenabled <> 'O' THEN format('enabled=ALTER EVENT TRIGGER %%I ENABLE', e.evtname) END],
  NULL, NULL, false, NULL
FROM pg_event_trigger AS e
UNION ALL
SELECT 'publication:' || quote_ident(p.pubname), 'publication', 'pg_publication'::regclass::oid, p.oid, 0, '',
  CASE WHEN p.puballtables THEN 'FOR ALL TABLES' ELSE '' END,
  'PUBLICATION', quote_ident(p.pubname), p.pubowner, NULL, NULL,
  ARRAY[format('publish=ALTER PUBLICATION %%I SET (publish = %%L, publish_via_partition_root = %%L)', p.pubname,
    concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
      CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END), p.pubviaroot::text)],
  NULL, NULL, NULL, false, NULL
FROM pg_publication AS p
UNION ALL
SELECT 'publication member:' || quote_ident(p.pubname) || '.' || m.prrelid::regclass, 'publication member',
  'pg_publication_rel'::regclass::oid, m.oid, 0, 'publication:' || quote_ident(p.pubname), '',
  NULL, NULL, NULL, NULL, NULL,
  ARRAY['member=' || member_sql], ARRAY['member=' || removal], removal, member_sql, false, NULL
FROM pg_publication_rel AS m
JOIN pg_publication AS p ON p.oid = m.prpubid
CROSS JOIN LATERAL (
  SELECT format('ALTER PUBLICATION %%I ADD TABLE ONLY %%s%%s%%s', p.pubname, m.prrelid::regclass,
      ' (' || (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
               FROM pg_attribute AS a WHERE a.attrelid = m.prrelid AND a.attnum = ANY (m.prattrs::int2[])) || ')',
      ' WHERE (' || pg_get_expr(m.prqual, m.prrelid) || ')') AS member_sql,
    format('ALTER PUBLICATION %%I DROP TABLE ONLY %%s', p.pubname, m.prrelid::regclass) AS removal
) AS says
UNION ALL
SELECT 'publication schema:' || quote_ident(p.pubname) || '.' || quote_ident(n.nspname), 'publication schema',
  'pg_publication_namespace'::regclass::oid, m.oid, 0, 'publication:' || quote_ident(p.pubname), '',
  NULL, NULL, NULL, NULL, NULL, NULL, NULL,
  format('ALTER PUBLICATION %%I DROP TABLES IN SCHEMA %%I', p.pubname, n.nspname),
  format('ALTER PUBLICATION %%I ADD TABLES IN SCHEMA %%I', p.pubname, n.nspname), false, NULL
FROM pg_publication_namespace AS m
JOIN pg_publication AS p ON p.oid = m.pnpubid
JOIN pg_namespace AS n ON n.oid = m.pnnspid
UNION ALL
SELECT 'default privileges:' || pg_get_userbyid(d.defaclrole) || '.' || coalesce(n.nspname, '') || '.' || d.defaclobjtype::text,
  'default privileges', 'pg_default_acl'::regclass::oid, d.oid, 0, '',
  (SELECT coalesce(string_agg(x::text, ', ' ORDER BY x::text), '') FROM unnest(d.defaclacl) AS x),
  NULL, NULL, NULL, NULL, NULL, NULL, NULL, '', NULL, false, NULL
FROM pg_default_acl AS d
LEFT JOIN pg_namespace AS n ON n.oid = d.defaclnamespace
UNION ALL
SELECT 'foreign data wrapper:' || quote_ident(w.fdwname), 'foreign data wrapper', 'pg_foreign_data_wrapper'::regclass::oid, w.oid, 0, '',
  concat_ws(' ', nullif(w.fdwhandler, 0)::regprocedure, nullif(w.fdwvalidator, 0)::regprocedure, md5(w.fdwoptions::text)),
  'FOREIGN DATA WRAPPER', quote_ident(w.fdwname), w.fdwowner, w.fdwacl, 'F'::"char", NULL, NULL, NULL, NULL, false, NULL
FROM pg_foreign_data_wrapper AS w
UNION ALL
SELECT 'foreign server:' || quote_ident(s.srvname), 'foreign server', 'pg_foreign_server'::regclass::oid, s.oid, 0, '',
  concat_ws(' ', quote_literal(s.srvtype), quote_literal(s.srvversion), quote_ident(w.fdwname), md5(s.srvoptions::text)),
  'SERVER', quote_ident(s.srvname), s.srvowner, s.srvacl, 'S'::"char", NULL, NULL, NULL, NULL, false, NULL
FROM pg_foreign_server AS s
JOIN pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw
