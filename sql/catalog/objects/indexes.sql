-- Indexes; one that belongs to a constraint, or to a partitioned table's index, goes with that. Invalid ones, such as
-- CREATE INDEX CONCURRENTLY leaves when it fails, are in no dump (pg_dump.c, getIndexes): they are another kind.
SELECT state.kind || ':' || i.indexrelid::regclass, state.kind, 'pg_class'::regclass::oid, i.indexrelid, 0,
  coalesce('constraint:' || r.ident || '.' || quote_ident(con.conname), 'relation:' || r.ident),
  concat_ws(' ', pg_get_indexdef(i.indexrelid),
    'TABLESPACE ' || (SELECT quote_ident(t.spcname) FROM pg_tablespace AS t WHERE t.oid = c.reltablespace),
    'PARTITION OF ' || (SELECT h.inhparent::regclass FROM pg_inherits AS h WHERE h.inhrelid = i.indexrelid),
    CASE WHEN NOT i.indisvalid THEN 'INVALID' END),
  'INDEX', i.indexrelid::regclass::text, NULL::oid, NULL::aclitem[], NULL::"char",
  ARRAY[
    CASE WHEN i.indisclustered THEN format('cluster=ALTER TABLE %%s CLUSTER ON %%I', r.ident, c.relname) END,
    'statistics=' || stats.as_they_are
  ],
  ARRAY[
    CASE WHEN i.indisclustered THEN format('cluster=ALTER TABLE %%s SET WITHOUT CLUSTER', r.ident) END,
    'statistics=' || stats.none
  ],
  CASE WHEN con.oid IS NOT NULL OR c.relispartition THEN '' END, NULL, false, r.relnamespace
FROM pg_index AS i
JOIN rel AS r ON r.oid = i.indrelid
JOIN pg_class AS c ON c.oid = i.indexrelid
CROSS JOIN LATERAL (
  SELECT CASE WHEN (i.indisvalid OR r.relkind = 'p') AND i.indisready THEN 'index' ELSE 'invalid index' END AS kind
) AS state
LEFT JOIN pg_constraint AS con ON con.conindid = i.indexrelid AND con.conrelid = i.indrelid AND con.contype IN ('p', 'u', 'x')
LEFT JOIN LATERAL (
  SELECT
    string_agg(format('ALTER INDEX %%s ALTER COLUMN %%s SET STATISTICS %%s', i.indexrelid::regclass, a.attnum, a.attstattarget),
      E';\n' ORDER BY a.attnum) AS as_they_are,
    string_agg(format('ALTER INDEX %%s ALTER COLUMN %%s SET STATISTICS -1', i.indexrelid::regclass, a.attnum),
      E';\n' ORDER BY a.attnum) AS none
  FROM pg_attribute AS a
  WHERE a.attrelid = i.indexrelid AND a.attstattarget <> -1
) AS stats ON i.indexprs IS NOT NULL
