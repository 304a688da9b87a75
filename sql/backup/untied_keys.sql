-- Foreign keys to tables outside the archive: their rows are not in it, so a scratch database cannot have these keys.
SELECT format('%%s.%%s %%s', n.nspname, c.relname, k.conname) AS name
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_class AS other ON other.oid = k.confrelid
WHERE k.contype = 'f'
  AND n.nspname = ANY (%(schemas)s::text[])
  AND other.relnamespace NOT IN (SELECT oid FROM pg_namespace WHERE nspname = ANY (%(schemas)s::text[]))
ORDER BY 1
