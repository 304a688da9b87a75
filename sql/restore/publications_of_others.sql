-- How a change of each publication begins whose owner we cannot act for: only that role may change what is in it.
SELECT format('ALTER PUBLICATION %I ', p.pubname) AS begins
FROM pg_publication AS p
WHERE NOT pg_has_role(p.pubowner, 'USAGE')
