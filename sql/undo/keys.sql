-- The keys that rows of other tables, which stay as they are, point at: their sum is kept for sql/undo/orphans.sql. Both name
-- it by the foreign key, which is in this transaction's own settings.
DO $keys$
DECLARE
  key record;
  kept text;
BEGIN
  FOR key IN
{keys}
  LOOP
    BEGIN
      EXECUTE format('SELECT concat(count(*), '' '', sum(hash_record_extended(ROW(%%s), 0))) FROM %%s%%s AS p',
        key.columns, key.alone, key.parent)
        INTO kept;
    EXCEPTION WHEN undefined_function THEN
      kept := '';  -- a type without a hash: every row is looked at
    END;
    PERFORM pg_catalog.set_config('deploy_agent.keys_' || key.oid, kept, true);
  END LOOP;
END
$keys$
