-- The tables that the application writes to: those that may be locked against it, as one statement (null: there is none),
-- and those that may not. SHARE keeps writers out, and lets readers in.
SELECT
  'LOCK TABLE ' || string_agg(t.name, ', ' ORDER BY t.id) FILTER (WHERE t.may) || ' IN SHARE MODE' AS lock,
  coalesce(array_agg(t.name ORDER BY t.id) FILTER (WHERE NOT t.may), '{}') AS others
FROM (
  SELECT c.oid AS id, format('%%I.%%I', n.nspname, c.relname) AS name,
    has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE') AS may
  FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
  WHERE n.nspname = ANY (%(schemas)s::text[]) AND c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
) AS t
