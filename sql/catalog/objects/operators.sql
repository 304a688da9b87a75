-- Operators, operator classes and families, casts, collations, conversions: what CREATE says of each.
SELECT 'operator:' || i.ident, 'operator', 'pg_operator'::regclass::oid, o.oid, 0, '',
  concat_ws(' ', o.oprcode, o.oprresult::regtype, nullif(o.oprcom, 0)::regoperator, nullif(o.oprnegate, 0)::regoperator,
    o.oprrest, o.oprjoin, o.oprcanhash, o.oprcanmerge),
  'OPERATOR', i.ident, o.oprowner, NULL::aclitem[], NULL::"char", NULL::text[], NULL::text[], NULL, NULL, false, o.oprnamespace
FROM pg_operator AS o
JOIN app AS n ON n.oid = o.oprnamespace
CROSS JOIN LATERAL (
  SELECT format('%%I.%%s (%%s, %%s)', n.nspname, o.oprname, CASE WHEN o.oprleft = 0 THEN 'NONE' ELSE o.oprleft::regtype::text END,
    CASE WHEN o.oprright = 0 THEN 'NONE' ELSE o.oprright::regtype::text END) AS ident
) AS i
WHERE o.oprcode <> 0
  AND NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_operator'::regclass AND m.objid = o.oid)
UNION ALL
SELECT 'operator class:' || i.ident, 'operator class', 'pg_opclass'::regclass::oid, o.oid, 0, '',
  concat_ws(' ', o.opcintype::regtype, CASE WHEN o.opcdefault THEN 'DEFAULT' END, 'STORAGE ' || nullif(o.opckeytype, 0)::regtype,
    (SELECT format('FAMILY %%I.%%I', s.nspname, y.opfname)
     FROM pg_opfamily AS y JOIN pg_namespace AS s ON s.oid = y.opfnamespace WHERE y.oid = o.opcfamily)),
  'OPERATOR CLASS', i.ident, o.opcowner, NULL, NULL, NULL, NULL, NULL, NULL, false, o.opcnamespace
FROM pg_opclass AS o
JOIN app AS n ON n.oid = o.opcnamespace
JOIN pg_am AS am ON am.oid = o.opcmethod
CROSS JOIN LATERAL (SELECT format('%%I.%%I USING %%I', n.nspname, o.opcname, am.amname) AS ident) AS i
WHERE NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_opclass'::regclass AND m.objid = o.oid)
UNION ALL
SELECT 'operator family:' || i.ident, 'operator family', 'pg_opfamily'::regclass::oid, f.oid, 0, '',
  concat_ws(E'\n',
    (SELECT string_agg(concat_ws(' ', 'OPERATOR', o.amopstrategy, o.amopopr::regoperator, o.amoppurpose,
         nullif(o.amopsortfamily, 0)::regclass), E'\n' ORDER BY o.amopstrategy, o.amopopr::regoperator::text)
     FROM pg_amop AS o WHERE o.amopfamily = f.oid),
    (SELECT string_agg(concat_ws(' ', 'FUNCTION', p.amprocnum, p.amproclefttype::regtype, p.amprocrighttype::regtype,
         p.amproc::regprocedure), E'\n' ORDER BY p.amprocnum, p.amproclefttype::regtype::text, p.amprocrighttype::regtype::text)
     FROM pg_amproc AS p WHERE p.amprocfamily = f.oid)),
  'OPERATOR FAMILY', i.ident, f.opfowner, NULL, NULL, NULL, NULL, NULL, NULL, false, f.opfnamespace
FROM pg_opfamily AS f
JOIN app AS n ON n.oid = f.opfnamespace
JOIN pg_am AS am ON am.oid = f.opfmethod
CROSS JOIN LATERAL (SELECT format('%%I.%%I USING %%I', n.nspname, f.opfname, am.amname) AS ident) AS i
WHERE NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_opfamily'::regclass AND m.objid = f.oid)
UNION ALL
SELECT 'cast:' || i.ident, 'cast', 'pg_cast'::regclass::oid, c.oid, 0, '',
  concat_ws(' ', nullif(c.castfunc, 0)::regprocedure, c.castcontext, c.castmethod),
  'CAST', i.ident, NULL, NULL, NULL, NULL, NULL, NULL, NULL, false, NULL
FROM pg_cast AS c
JOIN pg_type AS source ON source.oid = c.castsource
JOIN pg_type AS target ON target.oid = c.casttarget
LEFT JOIN pg_proc AS p ON p.oid = c.castfunc
CROSS JOIN LATERAL (SELECT format('(%%s AS %%s)', c.castsource::regtype, c.casttarget::regtype) AS ident) AS i
WHERE (source.typnamespace IN (SELECT oid FROM app) OR target.typnamespace IN (SELECT oid FROM app) OR p.pronamespace IN (SELECT oid FROM app))
  AND source.typtype <> 'r'
  AND NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_cast'::regclass AND m.objid = c.oid)
UNION ALL
SELECT 'collation:' || i.ident, 'collation', 'pg_collation'::regclass::oid, c.oid, 0, '',
  (to_jsonb(c) - '{oid,collname,collnamespace,collowner,collversion,collencoding}'::text[]) #>> '{}',
  'COLLATION', i.ident, c.collowner, NULL, NULL, NULL, NULL, NULL, NULL, false, c.collnamespace
FROM pg_collation AS c
JOIN app AS n ON n.oid = c.collnamespace
CROSS JOIN LATERAL (SELECT format('%%I.%%I', n.nspname, c.collname) AS ident) AS i
WHERE NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_collation'::regclass AND m.objid = c.oid)
UNION ALL
SELECT 'conversion:' || i.ident, 'conversion', 'pg_conversion'::regclass::oid, c.oid, 0, '',
  concat_ws(' ', pg_encoding_to_char(c.conforencoding), pg_encoding_to_char(c.contoencoding), c.conproc, c.condefault),
  'CONVERSION', i.ident, c.conowner, NULL, NULL, NULL, NULL, NULL, NULL, false, c.connamespace
FROM pg_conversion AS c
JOIN app AS n ON n.oid = c.connamespace
CROSS JOIN LATERAL (SELECT format('%%I.%%I', n.nspname, c.conname) AS ident) AS i
WHERE NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_conversion'::regclass AND m.objid = c.oid)
