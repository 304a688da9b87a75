-- The columns of a table, each compared with a wanted type; to_regtype knows all of a type's names and drops modifiers.
SELECT a.attname::text AS name,
       format_type(a.atttypid, a.atttypmod) AS type,
       a.atttypid = to_regtype(%(type)s) AS same_type,
       to_regtype(%(type)s) IS NOT NULL AS type_known,
       NOT a.attnotnull AS nullable,
       pg_get_expr(d.adbin, d.adrelid, true) AS "default",
       col_description(c.oid, a.attnum) AS comment
FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE n.nspname = %(schema)s AND c.relname = %(name)s AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY a.attnum
