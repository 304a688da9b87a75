-- Of the schemas that are named ('' stands for the first of the search path), those in which this role may not create.
SELECT s.schema, n.nspname AS name, current_user AS role
FROM unnest(%(schemas)s::text[]) AS s (schema)
JOIN pg_namespace AS n ON n.nspname = coalesce(nullif(s.schema, ''), current_schema())
WHERE NOT has_schema_privilege(n.oid, 'CREATE')
ORDER BY 2
