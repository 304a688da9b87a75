-- The constraints of a table, with what a foreign key refers to and does.
SELECT k.conname::text AS name,
       k.contype::text AS type,
       k.convalidated AS validated,
       pg_get_constraintdef(k.oid, true) AS definition,
       ARRAY(
           SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u(num, place)
           JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.num ORDER BY u.place
       ) AS columns,
       fn.nspname::text AS foreign_schema,
       f.relname::text AS foreign_table,
       ARRAY(
           SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u(num, place)
           JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.num ORDER BY u.place
       ) AS foreign_columns,
       k.confdeltype::text AS on_delete,
       k.confupdtype::text AS on_update
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_class f ON f.oid = k.confrelid
LEFT JOIN pg_namespace fn ON fn.oid = f.relnamespace
WHERE n.nspname = %(schema)s AND c.relname = %(name)s
ORDER BY k.conname
