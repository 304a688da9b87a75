-- The triggers of a table that people made. The bits of tgtype are in pg_trigger.h.
SELECT t.tgname::text AS name,
       t.tgenabled IN ('O', 'A') AS enabled,
       CASE WHEN t.tgtype & 64 <> 0 THEN 'instead of' WHEN t.tgtype & 2 <> 0 THEN 'before' ELSE 'after' END AS timing,
       CASE WHEN t.tgtype & 1 <> 0 THEN 'row' ELSE 'statement' END AS level,
       array_remove(ARRAY[
           CASE WHEN t.tgtype & 4 <> 0 THEN 'insert' END,
           CASE WHEN t.tgtype & 16 <> 0 THEN 'update' END,
           CASE WHEN t.tgtype & 8 <> 0 THEN 'delete' END,
           CASE WHEN t.tgtype & 32 <> 0 THEN 'truncate' END
       ], NULL) AS events,
       pn.nspname::text AS function_schema,
       p.proname::text AS function
FROM pg_trigger t
JOIN pg_class c ON c.oid = t.tgrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_proc p ON p.oid = t.tgfoid
JOIN pg_namespace pn ON pn.oid = p.pronamespace
WHERE n.nspname = %(schema)s AND c.relname = %(name)s AND NOT t.tgisinternal
ORDER BY t.tgname
