-- Schemas: one arm of sql/catalog/objects.sql, which says what each column is.
SELECT 'schema:' || quote_ident(n.nspname), 'schema', 'pg_namespace'::regclass::oid, s.oid, 0, '', '',
  'SCHEMA', quote_ident(n.nspname), s.nspowner, s.nspacl, 'n'::"char", NULL::text[], NULL::text[], NULL::text, NULL::text, false, n.oid
FROM app AS n
JOIN pg_namespace AS s ON s.oid = n.oid
