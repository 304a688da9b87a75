-- Types: enums with their labels in order, domains, composites, ranges, base types.
SELECT 'type:' || i.ident, k.kind, 'pg_type'::regclass::oid, t.oid, 0, '',
  concat_ws(' ', k.kind,
    (SELECT string_agg(quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder) FROM pg_enum AS e WHERE e.enumtypid = t.oid),
    CASE WHEN t.typtype = 'd' THEN concat_ws(' ', format_type(t.typbasetype, t.typtypmod), nullif(t.typcollation, 0)::regcollation) END,
    (SELECT concat_ws(' ', g.rngsubtype::regtype, nullif(g.rngcollation, 0)::regcollation, o.opcname, g.rngcanonical, g.rngsubdiff,
       nullif(g.rngmultitypid, 0)::regtype)
     FROM pg_range AS g JOIN pg_opclass AS o ON o.oid = g.rngsubopc WHERE g.rngtypid = t.oid),
    CASE WHEN t.typtype = 'b' THEN concat_ws(' ', t.typinput, t.typoutput, t.typreceive, t.typsend, t.typmodin, t.typmodout,
      t.typanalyze, t.typlen, t.typbyval, t.typalign, t.typstorage, t.typcategory, t.typispreferred, t.typdelim,
      quote_literal(t.typdefault), nullif(t.typelem, 0)::regtype) END),
  k.keyword, i.ident, t.typowner, t.typacl, 'T'::"char",
  ARRAY[
    CASE WHEN t.typnotnull THEN format('not_null=ALTER DOMAIN %%s SET NOT NULL', i.ident) END,
    format('default=ALTER DOMAIN %%s SET DEFAULT ', i.ident) || pg_get_expr(t.typdefaultbin, 0)
  ],
  ARRAY[
    CASE WHEN t.typnotnull THEN format('not_null=ALTER DOMAIN %%s DROP NOT NULL', i.ident) END,
    CASE WHEN t.typdefaultbin IS NOT NULL THEN format('default=ALTER DOMAIN %%s DROP DEFAULT', i.ident) END
  ],
  NULL, NULL, false, t.typnamespace
FROM pg_type AS t
JOIN app AS n ON n.oid = t.typnamespace
CROSS JOIN LATERAL (SELECT format('%%I.%%I', n.nspname, t.typname) AS ident) AS i
CROSS JOIN LATERAL (
  SELECT CASE t.typtype WHEN 'e' THEN 'enum' WHEN 'd' THEN 'domain' WHEN 'r' THEN 'range' WHEN 'c' THEN 'composite type'
    ELSE 'base type' END AS kind,
    CASE t.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END AS keyword
) AS k
WHERE t.typisdefined
  AND (t.typtype IN ('e', 'd', 'r', 'b') AND NOT (t.typcategory = 'A' AND t.typsubscript = 'array_subscript_handler'::regproc)
    OR t.typtype = 'c' AND (SELECT c.relkind FROM pg_class AS c WHERE c.oid = t.typrelid) = 'c')
  AND NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_type'::regclass AND m.objid = t.oid)
