-- The tables outside the archive that a migration could write to: those of other schemas, those that an extension brought
-- into the application's, large objects, and roles (whose passwords cannot be read back). Cron jobs are in the backup.
SELECT c.oid
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'r'
  AND n.nspname !~ '^pg_'
  AND n.nspname NOT IN ('information_schema', 'supabase_migrations', 'cron')
  AND (n.nspname <> ALL (%(schemas)s::text[]) OR EXISTS (
    SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'))
UNION ALL
SELECT unnest(ARRAY['pg_authid'::regclass, 'pg_largeobject'::regclass, 'pg_largeobject_metadata'::regclass])
