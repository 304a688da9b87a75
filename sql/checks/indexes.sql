-- Indexes by their own name or by their table; a key column with DESC says so. indoption bit 1 is DESC (pg_index.h).
SELECT i.relname::text AS name,
       t.relname::text AS "table",
       ARRAY(
           SELECT pg_get_indexdef(x.indexrelid, k, true) || CASE WHEN x.indoption[k - 1] & 1 = 1 THEN ' desc' ELSE '' END
           FROM generate_series(1, x.indnkeyatts::int) k ORDER BY k
       ) AS columns,
       x.indisunique AS "unique",
       x.indisvalid AND x.indisready AS valid,
       m.amname::text AS method,
       pg_get_expr(x.indpred, x.indrelid, true) AS "where"
FROM pg_index x
JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_class t ON t.oid = x.indrelid
JOIN pg_namespace n ON n.oid = i.relnamespace
JOIN pg_am m ON m.oid = i.relam
WHERE n.nspname = %(schema)s
  AND (%(name)s::text IS NULL OR i.relname = %(name)s)
  AND (%(table)s::text IS NULL OR t.relname = %(table)s)
ORDER BY i.relname
