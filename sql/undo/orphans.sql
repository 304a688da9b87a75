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
    SELECT k.oid, format('%%I.%%I', m.nspname, child.relname) AS child,
      (SELECT string_agg(format('p.%%I', a.attname), ', ' ORDER BY x.place)
       FROM unnest(k.confkey) WITH ORDINALITY AS x (attnum, place)
       JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = x.attnum) AS columns,
      format('%%I.%%I', n.nspname, c.relname) AS parent,
      (SELECT string_agg(format('p.%%I OPERATOR(%%I.%%s) c.%%I', pa.attname, s.nspname, o.oprname, ca.attname), ' AND ')
       FROM unnest(k.conkey, k.confkey, k.conpfeqop) AS x (child, parent, op)
       JOIN pg_catalog.pg_attribute AS ca ON ca.attrelid = k.conrelid AND ca.attnum = x.child
       JOIN pg_catalog.pg_attribute AS pa ON pa.attrelid = k.confrelid AND pa.attnum = x.parent
       JOIN pg_catalog.pg_operator AS o ON o.oid = x.op
       JOIN pg_catalog.pg_namespace AS s ON s.oid = o.oprnamespace) AS joined,
      (SELECT string_agg(format('c.%%I IS NOT NULL', ca.attname), ' AND ')
       FROM unnest(k.conkey) AS x (child)
       JOIN pg_catalog.pg_attribute AS ca ON ca.attrelid = k.conrelid AND ca.attnum = x.child) AS given
    FROM pg_catalog.pg_constraint AS k
    JOIN pg_catalog.pg_class AS c ON c.oid = k.confrelid
    JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_class AS child ON child.oid = k.conrelid
    JOIN pg_catalog.pg_namespace AS m ON m.oid = child.relnamespace
    WHERE k.contype = 'f' AND k.convalidated
      AND format('%%I.%%I', n.nspname, c.relname) = ANY (%(tables)s::text[])
      AND format('%%I.%%I', m.nspname, child.relname) <> ALL (%(tables)s::text[])
  LOOP
    kept := nullif(pg_catalog.current_setting('deploy_agent.keys_' || key.oid, true), '');
    IF kept IS NOT NULL THEN
      EXECUTE format('SELECT concat(count(*), '' '', sum(hash_record_extended(ROW(%%s), 0))) FROM ONLY %%s AS p', key.columns, key.parent)
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
