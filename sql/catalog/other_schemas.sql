-- The schemas that are neither Postgres's own nor backed up. Left out are those where Supabase's services themselves make
-- and drop tables all the time (realtime has one a day).
SELECT n.nspname AS name
FROM pg_namespace AS n
WHERE n.nspname !~ '^(pg_|information_schema$)'
  AND n.nspname <> ALL (%(schemas)s::text[])
  AND n.nspname NOT IN ('supabase_migrations', 'realtime', '_realtime', '_analytics', '_supavisor')
ORDER BY n.nspname
