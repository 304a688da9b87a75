-- The restored tables, to be counted and analysed.
SELECT n.nspname AS schema, c.relname AS name
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = ANY (%(schemas)s::text[]) AND c.relkind IN ('r', 'm') AND c.relispopulated AND pg_has_role(c.relowner, 'USAGE')
ORDER BY c.oid
