-- Every object of the application schemas, and what hangs on them outside, as (identity, canonical definition).
-- No OIDs, no physical column numbers: a dump and restore gives the same rows again. The definition is reduced
-- to its md5: what matters is whether it is still the same.
WITH app AS (
  SELECT oid, nspname FROM pg_namespace WHERE nspname = ANY (%(schemas)s::text[])
), member AS (
  SELECT classid, objid FROM pg_depend WHERE deptype = 'e'
), rel AS (
  SELECT c.*, n.nspname, format('%%I.%%I', n.nspname, c.relname) AS ident
  FROM pg_class AS c
  JOIN app AS n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
    AND c.relpersistence <> 't'
    AND NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_class'::regclass AND m.objid = c.oid)
), acl AS (
  SELECT 'rel' AS class, r.oid, string_agg(x.privilege_type || '=' || coalesce(g.rolname, 'public') || CASE WHEN x.is_grantable THEN '*' ELSE '' END, ',' ORDER BY coalesce(g.rolname, 'public'), x.privilege_type) AS text
  FROM rel AS r
  CROSS JOIN LATERAL aclexplode(coalesce(r.relacl, acldefault(CASE WHEN r.relkind = 'S' THEN 's' ELSE 'r' END::"char", r.relowner))) AS x
  LEFT JOIN pg_roles AS g ON g.oid = x.grantee
  WHERE r.relkind <> 'c'
  GROUP BY r.oid
), fn AS (
  SELECT p.*, format('%%I.%%I(%%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)) AS ident
  FROM pg_proc AS p
  JOIN app AS n ON n.oid = p.pronamespace
  WHERE NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_proc'::regclass AND m.objid = p.oid)
)
SELECT identity, md5(definition) AS digest FROM (
SELECT 'schema:' || quote_ident(n.nspname) AS identity,
  concat_ws('|', pg_get_userbyid(s.nspowner),
    (SELECT string_agg(x::text, ',' ORDER BY x::text) FROM unnest(coalesce(s.nspacl, acldefault('n', s.nspowner))) AS x),
    obj_description(s.oid, 'pg_namespace')) AS definition
FROM app AS n JOIN pg_namespace AS s ON s.oid = n.oid
UNION ALL
SELECT 'relation:' || r.ident,
  concat_ws('|', r.relkind, pg_get_userbyid(r.relowner), acl.text, r.relrowsecurity, r.relforcerowsecurity,
    r.relreplident, r.relpersistence, array_to_string(r.reloptions, ','), am.amname,
    CASE WHEN r.relkind IN ('v', 'm') THEN pg_get_viewdef(r.oid) END, CASE WHEN r.relkind = 'm' THEN r.relispopulated END,
    CASE WHEN r.relkind = 'p' THEN pg_get_partkeydef(r.oid) END, pg_get_expr(r.relpartbound, r.oid),
    (SELECT string_agg(i.inhparent::regclass::text, ',' ORDER BY i.inhseqno) FROM pg_inherits AS i WHERE i.inhrelid = r.oid),
    obj_description(r.oid, 'pg_class'))
FROM rel AS r LEFT JOIN acl ON acl.oid = r.oid LEFT JOIN pg_am AS am ON am.oid = r.relam
UNION ALL
SELECT 'column:' || r.ident || '.' || quote_ident(a.attname),
  concat_ws('|', row_number() OVER (PARTITION BY r.oid ORDER BY a.attnum), format_type(a.atttypid, a.atttypmod), a.attnotnull,
    a.attidentity, a.attgenerated, pg_get_expr(d.adbin, d.adrelid), a.attcollation::regcollation, a.attstorage,
    a.attcompression, a.attstattarget, array_to_string(a.attoptions, ','), a.attislocal,
    (SELECT string_agg(x::text, ',' ORDER BY x::text) FROM unnest(a.attacl) AS x), col_description(r.oid, a.attnum))
FROM rel AS r
JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE r.relkind <> 'S'
UNION ALL
SELECT 'sequence:' || r.ident,
  concat_ws('|', s.seqtypid::regtype, s.seqstart, s.seqincrement, s.seqmax, s.seqmin, s.seqcache, s.seqcycle,
    (SELECT d.refobjid::regclass || '.' || a.attname
     FROM pg_depend AS d JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
     WHERE d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')))
FROM rel AS r JOIN pg_sequence AS s ON s.seqrelid = r.oid
UNION ALL
SELECT 'constraint:' || coalesce(con.conrelid::regclass::text, con.contypid::regtype::text) || '.' || quote_ident(con.conname),
  concat_ws('|', pg_get_constraintdef(con.oid), con.convalidated, con.conislocal, obj_description(con.oid, 'pg_constraint'))
FROM pg_constraint AS con JOIN app AS n ON n.oid = con.connamespace
WHERE con.contype <> 't' AND (con.conrelid = 0 OR con.conrelid IN (SELECT oid FROM rel))
UNION ALL
SELECT 'constraint:' || con.conrelid::regclass || '.' || quote_ident(con.conname), pg_get_constraintdef(con.oid)
FROM pg_constraint AS con JOIN rel AS r ON r.oid = con.confrelid
WHERE con.contype = 'f' AND con.connamespace NOT IN (SELECT oid FROM app)
UNION ALL
SELECT 'index:' || i.indexrelid::regclass, concat_ws('|', pg_get_indexdef(i.indexrelid), i.indisvalid, i.indisclustered,
  i.indisreplident, obj_description(i.indexrelid, 'pg_class'))
FROM pg_index AS i JOIN rel AS r ON r.oid = i.indrelid
UNION ALL
SELECT 'trigger:' || format('%%I.%%I', n.nspname, c.relname) || '.' || quote_ident(t.tgname),
  concat_ws('|', pg_get_triggerdef(t.oid), t.tgenabled, obj_description(t.oid, 'pg_trigger'))
FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = t.tgrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND n.nspname !~ '^pg_'
UNION ALL
SELECT 'policy:' || format('%%I.%%I', n.nspname, c.relname) || '.' || quote_ident(p.polname),
  concat_ws('|', p.polpermissive, p.polcmd,
    (SELECT string_agg(coalesce(g.rolname, 'public'), ',' ORDER BY 1) FROM unnest(p.polroles) AS o(oid) LEFT JOIN pg_roles AS g ON g.oid = o.oid),
    pg_get_expr(p.polqual, p.polrelid), '#', pg_get_expr(p.polwithcheck, p.polrelid), obj_description(p.oid, 'pg_policy'))
FROM pg_policy AS p JOIN pg_class AS c ON c.oid = p.polrelid JOIN pg_namespace AS n ON n.oid = c.relnamespace
UNION ALL
SELECT 'rule:' || r.ident || '.' || quote_ident(w.rulename), pg_get_ruledef(w.oid) || w.ev_enabled::text
FROM pg_rewrite AS w JOIN rel AS r ON r.oid = w.ev_class
WHERE w.rulename <> '_RETURN'
UNION ALL
SELECT 'function:' || f.ident,
  concat_ws('|', CASE WHEN f.prokind = 'a' THEN
      (SELECT concat_ws(',', g.aggtransfn, g.aggfinalfn, g.aggtranstype::regtype, g.agginitval, g.aggsortop::regoper) FROM pg_aggregate AS g WHERE g.aggfnoid = f.oid)
    ELSE pg_get_functiondef(f.oid) END, pg_get_userbyid(f.proowner),
    (SELECT string_agg(x::text, ',' ORDER BY x::text) FROM unnest(coalesce(f.proacl, acldefault('f', f.proowner))) AS x),
    obj_description(f.oid, 'pg_proc'))
FROM fn AS f
UNION ALL
SELECT 'type:' || format('%%I.%%I', n.nspname, t.typname),
  concat_ws('|', t.typtype, pg_get_userbyid(t.typowner),
    (SELECT string_agg(quote_literal(e.enumlabel), ',' ORDER BY e.enumsortorder) FROM pg_enum AS e WHERE e.enumtypid = t.oid),
    CASE WHEN t.typtype = 'd' THEN concat_ws('|', format_type(t.typbasetype, t.typtypmod), t.typnotnull, t.typdefault, t.typcollation::regcollation) END,
    (SELECT concat_ws(',', g.rngsubtype::regtype, g.rngcollation::regcollation, g.rngsubdiff) FROM pg_range AS g WHERE g.rngtypid = t.oid),
    (SELECT string_agg(x::text, ',' ORDER BY x::text) FROM unnest(coalesce(t.typacl, acldefault('T', t.typowner))) AS x),
    obj_description(t.oid, 'pg_type'))
FROM pg_type AS t JOIN app AS n ON n.oid = t.typnamespace
WHERE t.typtype IN ('e', 'd', 'r', 'b') AND t.typcategory <> 'A'
  AND NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_type'::regclass AND m.objid = t.oid)
UNION ALL
SELECT 'statistics:' || format('%%I.%%I', n.nspname, s.stxname), pg_get_statisticsobjdef(s.oid) || '|' || coalesce(s.stxstattarget::text, '')
FROM pg_statistic_ext AS s JOIN app AS n ON n.oid = s.stxnamespace
UNION ALL
SELECT 'extension:' || quote_ident(e.extname), concat_ws('|', e.extversion, n.nspname)
FROM pg_extension AS e JOIN pg_namespace AS n ON n.oid = e.extnamespace
UNION ALL
SELECT 'event trigger:' || quote_ident(e.evtname), concat_ws('|', e.evtevent, e.evtfoid::regprocedure, e.evtenabled, array_to_string(e.evttags, ','))
FROM pg_event_trigger AS e
UNION ALL
SELECT 'publication:' || quote_ident(p.pubname), concat_ws('|', p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete, p.pubtruncate, p.pubviaroot)
FROM pg_publication AS p
UNION ALL
SELECT 'publication member:' || quote_ident(p.pubname) || '.' || m.prrelid::regclass,
  concat_ws('|', pg_get_expr(m.prqual, m.prrelid), m.prattrs)
FROM pg_publication_rel AS m JOIN pg_publication AS p ON p.oid = m.prpubid
UNION ALL
SELECT 'publication schema:' || quote_ident(p.pubname) || '.' || quote_ident(n.nspname), ''
FROM pg_publication_namespace AS m JOIN pg_publication AS p ON p.oid = m.pnpubid JOIN pg_namespace AS n ON n.oid = m.pnnspid
UNION ALL
SELECT 'default privileges:' || pg_get_userbyid(d.defaclrole) || '.' || coalesce(n.nspname, '') || '.' || d.defaclobjtype::text,
  (SELECT string_agg(x::text, ',' ORDER BY x::text) FROM unnest(d.defaclacl) AS x)
FROM pg_default_acl AS d LEFT JOIN pg_namespace AS n ON n.oid = d.defaclnamespace
) AS object (identity, definition)
ORDER BY 1
