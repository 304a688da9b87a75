-- Of these foreign keys those that are NOT VALID.
SELECT format('%%s.%%s %%s', n.nspname, c.relname, k.conname) AS name,
  format('%%I.%%I.%%I', n.nspname, c.relname, k.conname) AS identity
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND NOT k.convalidated
  AND format('%%s.%%s %%s', n.nspname, c.relname, k.conname) = ANY (%(keys)s::text[])
ORDER BY 1
