-- In a restore's transaction, before it empties these tables: nobody can write to them any more, and the rows that were
-- written since they were salvaged are noted, to be committed with the restore.
-- Writers are locked out first, parents before children: whoever writes in that order, or only has a foreign key checked,
-- can end; then readers. Where others lock in another order the server ends one of both. If that is us, we let go of the
-- tables, and take the one that we waited for first: retrying converges though nobody stops writing.
DO $late$
DECLARE
  waiting oid[];
  ready oid[];
  tables oid[] := '{}';
  one oid;
  deadlocks integer := 0;
  next bigint;
  found record;
  any_rows boolean;
BEGIN
  WITH RECURSIVE emptied (id) AS (
    SELECT unnest(%(tables)s::oid[])
    UNION
    SELECT i.inhrelid FROM emptied JOIN pg_inherits AS i ON i.inhparent = emptied.id
  )
  SELECT coalesce(array_agg(c.oid), '{}') INTO waiting
  FROM pg_class AS c
  JOIN emptied ON emptied.id = c.oid
  WHERE c.relkind IN ('r', 'p') AND pg_has_role(c.relowner, 'USAGE') AND has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE');

  WHILE waiting <> '{}' LOOP
    SELECT coalesce(array_agg(w.id ORDER BY w.id), waiting) INTO ready  -- all of them if they form a circle
    FROM unnest(waiting) AS w (id)
    WHERE NOT EXISTS (
        SELECT FROM pg_constraint AS k
        WHERE k.conrelid = w.id AND k.contype = 'f' AND k.confrelid <> w.id AND k.confrelid = ANY (waiting)
      )
      AND NOT EXISTS (SELECT FROM pg_inherits AS i WHERE i.inhrelid = w.id AND i.inhparent = ANY (waiting));
    tables := tables || ready;
    waiting := ARRAY(SELECT unnest(waiting) EXCEPT SELECT unnest(ready));
  END LOOP;

  LOOP
    BEGIN
      FOREACH one IN ARRAY tables LOOP
        EXECUTE format('LOCK TABLE ONLY %%s IN SHARE ROW EXCLUSIVE MODE', one::regclass);
      END LOOP;
      FOREACH one IN ARRAY tables LOOP
        EXECUTE format('LOCK TABLE ONLY %%s IN ACCESS EXCLUSIVE MODE', one::regclass);
      END LOOP;
      EXIT;
    EXCEPTION WHEN deadlock_detected THEN
      deadlocks := deadlocks + 1;
      IF deadlocks = 10 THEN
        RAISE;
      END IF;
      tables := one || array_remove(tables, one);
    END;
  END LOOP;

  next := pg_snapshot_xmax(pg_current_snapshot())::text::bigint;
  EXECUTE %(others)s INTO any_rows USING next;
  IF NOT any_rows THEN
    RETURN;
  END IF;
  FOR found IN
    SELECT format('%%I.%%I', n.nspname, c.relname) AS name,
      coalesce(array_agg(a.attname::text ORDER BY a.attnum) FILTER (WHERE a.attnum IS NOT NULL), '{}') AS columns,
      -- as the type's own output function writes it, which a cast to text does not always ask
      format(', ARRAY[%%s]::text[]', string_agg(
        format('CASE WHEN num_nulls(t.%%I) = 0 THEN format(''%%%%s'', t.%%I) END', a.attname, a.attname), ', ' ORDER BY a.attnum
      ) FILTER (WHERE a.attnum IS NOT NULL)) AS list
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    WHERE c.oid = ANY (tables) AND c.relkind = 'r' AND has_table_privilege(c.oid, 'SELECT')
    GROUP BY c.oid, n.nspname, c.relname
    ORDER BY c.oid
  LOOP
    EXECUTE format('SELECT EXISTS (' || %(rows)s || ')', found.name, found.list) INTO any_rows USING next;
    CONTINUE WHEN NOT any_rows;
    IF to_regclass('supabase_migrations.deploy_agent_late') IS NULL THEN
      IF to_regnamespace('supabase_migrations') IS NULL THEN
        CREATE SCHEMA supabase_migrations;
      END IF;
      CREATE TABLE supabase_migrations.deploy_agent_late (
        number bigint GENERATED ALWAYS AS IDENTITY,
        salvage text NOT NULL,
        deploy_id text NOT NULL,
        backup_id text NOT NULL,
        until text NOT NULL,
        name text NOT NULL,
        columns text[] NOT NULL,
        kind text NOT NULL,
        line text[] NOT NULL
      );
      REVOKE ALL ON supabase_migrations.deploy_agent_late FROM PUBLIC;
    END IF;
    EXECUTE format(
      'INSERT INTO supabase_migrations.deploy_agent_late (salvage, deploy_id, backup_id, until, name, columns, kind, line) '
      'SELECT $2, $3, $4, $5, $6, $7, late.* FROM (' || %(rows)s || ') AS late', found.name, found.list
    ) USING next, %(salvage)s, %(deploy_id)s, %(backup_id)s, pg_current_snapshot()::text, found.name, found.columns;
  END LOOP;
END
$late$
