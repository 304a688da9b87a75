-- Roles that own something in the application's schemas and that we cannot act for.
SELECT DISTINCT pg_get_userbyid(o.owner) AS name
FROM (
  SELECT relowner, relnamespace FROM pg_class
  UNION ALL
  SELECT proowner, pronamespace FROM pg_proc
  UNION ALL
  SELECT typowner, typnamespace FROM pg_type
) AS o (owner, namespace)
JOIN pg_namespace AS n ON n.oid = o.namespace
WHERE n.nspname = ANY (%(schemas)s::text[]) AND NOT pg_has_role(o.owner, 'USAGE')
ORDER BY 1
