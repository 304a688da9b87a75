-- Rows of these tables become those of the backup again, while other tables stay as they are. Run once before (`after`
-- false), to keep the sums of what foreign keys between the two are about, and once when the rows are in: where the sums are
-- the same every row is looked up by as many as before, and looks up as many. Else it fails where a row points at one that is
-- not there; DETAIL names the tables that stay, as a JSON array. The sums are in this transaction's own settings.
DO $keys$
DECLARE
  one record;
  key record;
  sums text[];
  kept text[];
  place integer;
  orphaned boolean;
  found text[] := '{}';
BEGIN
  FOR one IN
    SELECT k.relation, k.loaded, k.alone, array_agg(DISTINCT k.columns ORDER BY k.columns) AS lists
    FROM (
{keys}
    ) AS k
    GROUP BY k.relation, k.loaded, k.alone
  LOOP
    BEGIN
      EXECUTE (
        SELECT format('SELECT ARRAY[%%s] FROM %%s%%s AS l', string_agg(
          format('concat(count(*), '' '', sum(hash_record_extended(ROW(int8send(hash_record_extended(ROW(%%s), 0))), 0)))', u.list),
          ', ' ORDER BY u.number
        ), one.alone, one.loaded)
        FROM unnest(one.lists) WITH ORDINALITY AS u (list, number)
      ) INTO sums;
    EXCEPTION WHEN undefined_function THEN
      sums := '{}';  -- a type without a hash: every row is looked at
    END;
    IF NOT %(after)s THEN
      PERFORM pg_catalog.set_config('deploy_agent.keys_' || one.relation, sums::text, true);
      CONTINUE;
    END IF;
    kept := nullif(pg_catalog.current_setting('deploy_agent.keys_' || one.relation, true), '');
    FOR key IN
      SELECT * FROM (
{keys}
      ) AS k
      WHERE k.relation = one.relation
    LOOP
      place := array_position(one.lists, key.columns);
      CONTINUE WHEN sums[place] = kept[place];
      EXECUTE format('SELECT EXISTS (SELECT FROM %%s AS c WHERE %%s AND NOT EXISTS (SELECT FROM %%s AS p WHERE %%s))',
        key.child, key.given, key.parent, key.joined) INTO orphaned;
      IF orphaned THEN
        found := found || key.other;
      END IF;
    END LOOP;
  END LOOP;
  IF found <> '{}' THEN
    RAISE EXCEPTION 'rows written since the backup point at rows that it does not have, or the other way round'
      USING ERRCODE = 'DA003', DETAIL = pg_catalog.to_json(found)::text;
  END IF;
END
$keys$
