-- Indexes that the planner passes over until the transaction that built them is over, because rows that they cover
-- were updated in it (pg_index.indcheckxmin; see src/backend/access/heap/README.HOT).
SELECT i.relname::text AS name, t.relname::text AS "table"
FROM pg_index x
JOIN pg_class i ON i.oid = x.indexrelid
JOIN pg_class t ON t.oid = x.indrelid
WHERE x.indcheckxmin AND (i.relname = ANY(%(indexes)s) OR t.relname = ANY(%(tables)s))
ORDER BY i.relname
