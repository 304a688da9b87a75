-- Tables, views, sequences: what can be altered in place is in the settings; the columns are objects of their own.
-- A view's query can be replaced as long as its columns stay. A sequence that belongs to a column has that table's owner.
SELECT 'relation:' || r.ident, k.kind, 'pg_class'::regclass::oid, r.oid, 0,
  CASE WHEN own.deptype = 'i' THEN 'column:' || own.col ELSE '' END,
  concat_ws(E'\n', k.kind,
    CASE WHEN own.deptype = 'i' THEN 'identity of ' || own.col END,
    CASE WHEN r.relkind = 'p' THEN 'PARTITION BY ' || pg_get_partkeydef(r.oid) END,
    (SELECT CASE WHEN r.relispartition THEN 'PARTITION OF ' ELSE 'INHERITS ' END
       || string_agg(i.inhparent::regclass::text, ', ' ORDER BY i.inhseqno)
     FROM pg_inherits AS i WHERE i.inhrelid = r.oid),
    pg_get_expr(r.relpartbound, r.oid),
    'OF ' || nullif(r.reloftype, 0)::regtype::text,
    'USING ' || (SELECT am.amname FROM pg_am AS am WHERE am.oid = r.relam AND am.amname <> 'heap'),
    'TABLESPACE ' || (SELECT quote_ident(t.spcname) FROM pg_tablespace AS t WHERE t.oid = r.reltablespace),
    (SELECT format('SERVER %%I OPTIONS (%%s)', s.srvname, array_to_string(f.ftoptions, ', '))
     FROM pg_foreign_table AS f JOIN pg_foreign_server AS s ON s.oid = f.ftserver WHERE f.ftrelid = r.oid),
    CASE r.relkind
      WHEN 'v' THEN (
        SELECT string_agg(concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
          nullif(a.attcollation, 0)::regcollation::text), ', ' ORDER BY a.attnum)
        FROM pg_attribute AS a WHERE a.attrelid = r.oid AND a.attnum > 0)
      WHEN 'm' THEN pg_get_viewdef(r.oid)
    END),
  k.keyword, r.ident, r.relowner,
  r.relacl, (CASE r.relkind WHEN 'S' THEN 's' ELSE 'r' END)::"char",
  ARRAY[
    CASE WHEN r.relkind = 'S' AND own.deptype IS NULL
      THEN format('owner=ALTER SEQUENCE %%s OWNER TO %%I', r.ident, pg_get_userbyid(r.relowner)) END,
    CASE WHEN r.relpersistence = 'u' THEN format('persistence=ALTER %%s %%s SET UNLOGGED', k.keyword, r.ident) END,
    CASE WHEN r.relkind <> 'v' THEN format('options=ALTER %%s %%s SET (', k.keyword, r.ident) || o.assignments || ')' END,
    CASE WHEN r.relrowsecurity THEN format('rls=ALTER TABLE %%s ENABLE ROW LEVEL SECURITY', r.ident) END,
    CASE WHEN r.relforcerowsecurity THEN format('force_rls=ALTER TABLE %%s FORCE ROW LEVEL SECURITY', r.ident) END,
    CASE WHEN r.relkind IN ('r', 'p') AND r.relreplident <> 'd'
      THEN format('replica_identity=ALTER TABLE %%s REPLICA IDENTITY %%s', r.ident,
        CASE r.relreplident WHEN 'f' THEN 'FULL'
          WHEN 'i' THEN coalesce((SELECT format('USING INDEX %%I', x.relname) FROM pg_index AS i
            JOIN pg_class AS x ON x.oid = i.indexrelid WHERE i.indrelid = r.oid AND i.indisreplident), 'NOTHING')
          ELSE 'NOTHING' END) END,
    CASE WHEN s.seqrelid IS NOT NULL THEN
      format('sequence=ALTER SEQUENCE %%s%%s INCREMENT BY %%s MINVALUE %%s MAXVALUE %%s START WITH %%s CACHE %%s %%sCYCLE', r.ident,
        CASE WHEN own.deptype IS DISTINCT FROM 'i' THEN ' AS ' || s.seqtypid::regtype END,
        s.seqincrement, s.seqmin, s.seqmax, s.seqstart, s.seqcache, CASE WHEN NOT s.seqcycle THEN 'NO ' END) END,
    CASE WHEN own.deptype = 'a' THEN format('owned_by=ALTER SEQUENCE %%s OWNED BY %%s', r.ident, own.col) END,
    CASE WHEN r.relkind = 'v' THEN format(E'query=CREATE OR REPLACE VIEW %%s%%s AS\n%%s', r.ident,
      ' WITH (' || o.assignments || ')', rtrim(pg_get_viewdef(r.oid), ';')) END,
    CASE WHEN r.relkind = 'm' AND r.relispopulated THEN format('populated=REFRESH MATERIALIZED VIEW %%s', r.ident) END
  ],
  ARRAY[
    CASE WHEN r.relpersistence = 'u' THEN format('persistence=ALTER %%s %%s SET LOGGED', k.keyword, r.ident) END,
    CASE WHEN r.relkind <> 'v' THEN format('options=ALTER %%s %%s RESET (', k.keyword, r.ident) || o.names || ')' END,
    CASE WHEN r.relrowsecurity THEN format('rls=ALTER TABLE %%s DISABLE ROW LEVEL SECURITY', r.ident) END,
    CASE WHEN r.relforcerowsecurity THEN format('force_rls=ALTER TABLE %%s NO FORCE ROW LEVEL SECURITY', r.ident) END,
    CASE WHEN r.relkind IN ('r', 'p') AND r.relreplident <> 'd'
      THEN format('replica_identity=ALTER TABLE %%s REPLICA IDENTITY DEFAULT', r.ident) END,
    CASE WHEN own.deptype = 'a' THEN format('owned_by=ALTER SEQUENCE %%s OWNED BY NONE', r.ident) END,
    CASE WHEN r.relkind = 'm' AND r.relispopulated
      THEN format('populated=REFRESH MATERIALIZED VIEW %%s WITH NO DATA', r.ident) END
  ],
  CASE WHEN own.deptype = 'i' THEN format('ALTER TABLE IF EXISTS %%s ALTER COLUMN %%I DROP IDENTITY IF EXISTS', own.tab, own.attname) END,
  NULL, false, r.relnamespace
FROM rel AS r
CROSS JOIN LATERAL (
  SELECT
    CASE r.relkind WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'
      WHEN 'f' THEN 'foreign table' WHEN 'S' THEN 'sequence' ELSE 'table' END AS kind,
    CASE r.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'f' THEN 'FOREIGN TABLE'
      WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS keyword
) AS k
LEFT JOIN pg_sequence AS s ON s.seqrelid = r.oid
LEFT JOIN LATERAL (
  SELECT d.deptype, d.refobjid::regclass AS tab, a.attname, d.refobjid::regclass || '.' || quote_ident(a.attname) AS col
  FROM pg_depend AS d
  JOIN pg_attribute AS a ON a.attrelid = d.refobjid AND a.attnum = d.refobjsubid
  WHERE r.relkind = 'S' AND d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.refclassid = 'pg_class'::regclass
    AND d.deptype IN ('a', 'i')
) AS own ON true
LEFT JOIN pg_class AS toast ON toast.oid = r.reltoastrelid
LEFT JOIN LATERAL (
  SELECT string_agg(x.name || ' = ' || quote_literal(x.value), ', ' ORDER BY x.name) AS assignments,
    string_agg(x.name, ', ' ORDER BY x.name) AS names
  FROM (
    SELECT option_name AS name, option_value AS value FROM pg_options_to_table(r.reloptions)
    UNION ALL
    SELECT 'toast.' || option_name, option_value FROM pg_options_to_table(toast.reloptions)
  ) AS x
) AS o ON r.reloptions IS NOT NULL OR toast.reloptions IS NOT NULL
WHERE r.relkind <> 'c'
