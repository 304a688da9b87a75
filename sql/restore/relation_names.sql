-- What these tables are called, by OID, and what else has one of these names in one of these schemas: relations, and types,
-- by negative OIDs, which share their names. `ours`: ALTER TABLE may rename it.
SELECT c.oid::bigint AS oid, c.relnamespace::bigint AS namespace, quote_ident(c.relname) AS name,
  c.relkind <> 'c' AND pg_has_role(c.relowner, 'USAGE') AND has_schema_privilege(c.relnamespace, 'CREATE') AS ours
FROM pg_class AS c
WHERE c.oid = ANY (%(ids)s::oid[])
  OR c.relnamespace = ANY (%(namespaces)s::oid[]) AND quote_ident(c.relname) = ANY (%(names)s::text[])
UNION ALL
SELECT -t.oid::bigint, t.typnamespace::bigint, quote_ident(t.typname), false
FROM pg_type AS t
WHERE t.typrelid = 0 AND t.typnamespace = ANY (%(namespaces)s::oid[]) AND quote_ident(t.typname) = ANY (%(names)s::text[])
  AND NOT EXISTS (SELECT FROM pg_type AS element WHERE element.typarray = t.oid) -- those make room by themselves
