-- The rows of these tables are those of the backup again. Fail where a row of another table, which stays as it is, points
-- at one that the backup does not have; DETAIL names those tables, as a JSON array. Foreign keys that are not validated
-- promise nothing. Where the keys are those of before (sql/undo/keys.sql), no row has to be looked at.
DO $orphans$
DECLARE
  key record;
  orphaned boolean;
  kept text;
  now text;
  found text[] := '{}';
BEGIN
  FOR key IN
{keys}
  LOOP
    kept := nullif(pg_catalog.current_setting('deploy_agent.keys_' || key.oid, true), '');
    IF kept IS NOT NULL THEN
      EXECUTE format('SELECT concat(count(*), '' '', sum(hash_record_extended(ROW(%%s), 0))) FROM %%s%%s AS p',
        key.columns, key.alone, key.parent)
        INTO now;
      CONTINUE WHEN now = kept;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT FROM %%s AS c WHERE %%s AND NOT EXISTS (SELECT FROM %%s AS p WHERE %%s))',
      key.child, key.given, key.parent, key.joined) INTO orphaned;
    IF orphaned THEN
      found := found || key.child;
    END IF;
  END LOOP;
  IF found <> '{}' THEN
    RAISE EXCEPTION 'rows written since the backup point at rows that it does not have'
      USING ERRCODE = 'DA003', DETAIL = pg_catalog.to_json(found)::text;
  END IF;
END
$orphans$;
