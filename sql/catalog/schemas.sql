-- The application's schemas: all that neither Postgres, Supabase nor an extension owns.
-- The list of Supabase's own is that of `supabase db dump` (CLI 3.1.0), less patterns.
SELECT n.nspname AS name
FROM pg_namespace AS n
WHERE n.nspname !~ '^(pg_|information_schema$|_timescaledb_|timescaledb_)'
  AND n.nspname <> ALL (%(managed)s::text[])
  AND NOT EXISTS (
    SELECT FROM pg_depend AS d
    WHERE d.classid = 'pg_namespace'::regclass AND d.objid = n.oid AND d.deptype = 'e'
  )
ORDER BY n.nspname
