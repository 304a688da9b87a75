-- Triggers of the tables: they have run when the application wrote these rows, so they are off while the rows come
-- back. Those that check foreign keys stay on.
SELECT
  format('ALTER TABLE %%s DISABLE TRIGGER %%I', t.tgrelid::regclass, t.tgname) AS off,
  format('ALTER TABLE %%s ENABLE %%sTRIGGER %%I', t.tgrelid::regclass, CASE t.tgenabled WHEN 'A' THEN 'ALWAYS ' ELSE '' END, t.tgname) AS on
FROM pg_trigger AS t
WHERE t.tgrelid = ANY (%(ids)s::oid[]) AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')
ORDER BY t.tgrelid, t.tgname
