-- ANALYZE for each restored table, the biggest first, of the columns that an index or a key has. Those decide most plans and
-- take a quarter of the time; and autovacuum does the rest, since ANALYZE of chosen columns does not reset what it counts
-- (pg_stat_all_tables.n_mod_since_analyze).
SELECT format('ANALYZE %%I.%%I%%s', n.nspname, c.relname, ' (' || coalesce(keys.columns, first.column) || ')') AS statement
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
CROSS JOIN LATERAL (
  SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) AS columns
  FROM pg_attribute AS a
  WHERE a.attrelid = c.oid AND NOT a.attisdropped AND (
    EXISTS (SELECT FROM pg_index AS i WHERE i.indrelid = c.oid AND a.attnum = ANY (i.indkey))
    OR EXISTS (SELECT FROM pg_constraint AS k WHERE k.conrelid = c.oid AND a.attnum = ANY (k.conkey))
  ) AND a.attnum > 0
) AS keys
LEFT JOIN LATERAL (
  SELECT quote_ident(a.attname) AS column FROM pg_attribute AS a
  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
  ORDER BY a.attnum LIMIT 1
) AS first ON true
WHERE (n.nspname = ANY (%(schemas)s::text[]) OR format('%%I.%%I', n.nspname, c.relname) = ANY (%(tables)s::text[]))
  AND c.relkind IN ('r', 'm') AND c.relispopulated AND pg_has_role(c.relowner, 'USAGE')
ORDER BY pg_relation_size(c.oid) DESC
