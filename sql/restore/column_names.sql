-- What the columns of these tables are called, by their numbers. `ours`: ALTER TABLE may rename it; an `inherited` one goes
-- with that of the table that it comes from. `tied`: others inherit from the table, or it does.
SELECT a.attrelid::bigint AS oid, array_agg(a.attnum::int) AS numbers, array_agg(quote_ident(a.attname)) AS names,
  array_agg(c.reloftype = 0 AND pg_has_role(c.relowner, 'USAGE')) AS ours,
  coalesce(array_agg(a.attnum::int) FILTER (WHERE a.attinhcount > 0), '{}') AS inherited,
  EXISTS (SELECT FROM pg_inherits AS i WHERE a.attrelid IN (i.inhrelid, i.inhparent)) AS tied
FROM pg_attribute AS a
JOIN pg_class AS c ON c.oid = a.attrelid
WHERE c.oid = ANY (%(ids)s::oid[]) AND a.attnum > 0 AND NOT a.attisdropped
GROUP BY a.attrelid
ORDER BY a.attrelid
