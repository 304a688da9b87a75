-- The keys that rows of other tables, which stay as they are, point at: their sum is kept for sql/undo/orphans.sql. Both name
-- it by the foreign key, which is in this transaction's own settings.
DO $keys$
DECLARE
  key record;
  kept text;
BEGIN
  FOR key IN
    SELECT k.oid, format('%%I.%%I', n.nspname, c.relname) AS parent,
      (SELECT string_agg(format('p.%%I', a.attname), ', ' ORDER BY x.place)
       FROM unnest(k.confkey) WITH ORDINALITY AS x (attnum, place)
       JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = x.attnum) AS columns
    FROM pg_catalog.pg_constraint AS k
    JOIN pg_catalog.pg_class AS c ON c.oid = k.confrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_class AS child ON child.oid = k.conrelid
    JOIN pg_catalog.pg_namespace AS m ON m.oid = child.relnamespace
    WHERE k.contype = 'f' AND k.convalidated AND c.relkind = 'r'
      AND format('%%I.%%I', n.nspname, c.relname) = ANY (%(tables)s::text[])
      AND format('%%I.%%I', m.nspname, child.relname) <> ALL (%(tables)s::text[])
  LOOP
    BEGIN
      EXECUTE format('SELECT concat(count(*), '' '', sum(hash_record_extended(ROW(%%s), 0))) FROM ONLY %%s AS p', key.columns, key.parent)
        INTO kept;
    EXCEPTION WHEN undefined_function THEN
      kept := '';  -- a type without a hash: every row is looked at
    END;
    PERFORM pg_catalog.set_config('deploy_agent.keys_' || key.oid, kept, true);
  END LOOP;
END
$keys$
