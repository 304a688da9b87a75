-- Of the tables that are named (a schema of '' stands for the search path), those whose owner this role is not.
SELECT t.schema, t.name, format('%%I.%%I', n.nspname, c.relname) AS table, pg_get_userbyid(c.relowner) AS owner,
  current_user AS role
FROM unnest(%(schemas)s::text[], %(names)s::text[]) AS t (schema, name)
JOIN pg_class AS c ON c.relname = t.name AND c.relkind IN ('r', 'p', 'm', 'v', 'f')
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE (n.nspname = t.schema OR (t.schema = '' AND pg_table_is_visible(c.oid)))
  AND NOT pg_has_role(current_user, c.relowner, 'USAGE')
ORDER BY 3
