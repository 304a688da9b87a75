-- The policies of a table.
SELECT policyname::text AS name,
       permissive = 'PERMISSIVE' AS permissive,
       roles::text[] AS roles,
       lower(cmd) AS command,
       qual AS "using",
       with_check AS "check"
FROM pg_policies
WHERE schemaname = %(schema)s AND tablename = %(name)s
ORDER BY policyname
