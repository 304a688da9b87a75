-- Which of these tables a foreign key of another table points at, of one that is not gone by then: TRUNCATE refuses them.
SELECT DISTINCT format('%%I.%%I', n.nspname, c.relname) AS name
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.confrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_class AS child ON child.oid = k.conrelid
JOIN pg_namespace AS m ON m.oid = child.relnamespace
WHERE k.contype = 'f'
  AND format('%%I.%%I', n.nspname, c.relname) = ANY (%(tables)s::text[])
  AND format('%%I.%%I', m.nspname, child.relname) <> ALL (%(tables)s::text[] || %(gone)s::text[])
