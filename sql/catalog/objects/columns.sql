-- Columns, also of views and composite types. The place counts among those that are left, not those ever made.
-- A partition must have NOT NULL where its table has it, so that is set and taken away with the table's.
-- Column privileges are with their table's: REVOKE on the table takes them away too.
SELECT 'column:' || r.ident || '.' || quote_ident(a.attname), 'column', 'pg_class'::regclass::oid, r.oid, a.attnum::int,
  CASE WHEN r.relkind = 'c' THEN 'type:' ELSE 'relation:' END || r.ident,
  concat_ws(' ', row_number() OVER (PARTITION BY r.oid ORDER BY a.attnum), format_type(a.atttypid, a.atttypmod),
    CASE WHEN a.attcollation <> t.typcollation THEN 'COLLATE ' || a.attcollation::regcollation END,
    CASE WHEN a.attgenerated <> '' THEN format('GENERATED ALWAYS AS (%%s) %%s', pg_get_expr(d.adbin, d.adrelid), a.attgenerated) END,
    CASE WHEN NOT a.attislocal THEN 'INHERITED' END,
    'OPTIONS (' || array_to_string(a.attfdwoptions, ', ') || ')'),
  'COLUMN', r.ident || '.' || quote_ident(a.attname), NULL::oid, NULL::aclitem[], NULL::"char",
  CASE WHEN r.relkind <> 'c' THEN ARRAY[
    CASE WHEN a.attidentity <> '' AND NOT r.relispartition THEN 'identity=' || alter_all || 'SET GENERATED '
      || CASE a.attidentity WHEN 'a' THEN 'ALWAYS' ELSE 'BY DEFAULT' END END,
    CASE WHEN a.attnotnull THEN 'not_null=' || alter_all || 'SET NOT NULL' END,
    CASE WHEN a.attgenerated = '' AND d.oid IS NOT NULL
      THEN 'default=' || alter_it || 'SET DEFAULT ' || pg_get_expr(d.adbin, d.adrelid) END,
    CASE WHEN a.attstorage <> t.typstorage THEN 'storage=' || alter_it || 'SET STORAGE ' || sets.storage END,
    CASE WHEN a.attcompression <> '' THEN 'compression=' || alter_it || 'SET COMPRESSION '
      || CASE a.attcompression WHEN 'l' THEN 'lz4' ELSE 'pglz' END END,
    'statistics=' || alter_it || 'SET STATISTICS ' || nullif(a.attstattarget, -1),
    'options=' || alter_it || 'SET (' || array_to_string(a.attoptions, ', ') || ')'
  ] END,
  CASE WHEN r.relkind <> 'c' THEN ARRAY[
    CASE WHEN a.attnotnull AND NOT EXISTS (
        SELECT FROM pg_inherits AS i
        JOIN pg_attribute AS p ON p.attrelid = i.inhparent AND p.attname = a.attname AND p.attnotnull
        WHERE r.relispartition AND i.inhrelid = r.oid
      ) THEN 'not_null=' || alter_all || 'DROP NOT NULL' END,
    CASE WHEN a.attgenerated = '' AND d.oid IS NOT NULL THEN 'default=' || alter_it || 'DROP DEFAULT' END,
    CASE WHEN a.attstorage <> t.typstorage THEN 'storage=' || alter_it || 'SET STORAGE ' || sets.natural_storage END,
    CASE WHEN a.attcompression <> '' THEN 'compression=' || alter_it || 'SET COMPRESSION default' END,
    CASE WHEN a.attstattarget <> -1 THEN 'statistics=' || alter_it || 'SET STATISTICS -1' END,
    'options=' || alter_it || 'RESET ('
      || (SELECT string_agg(o.option_name, ', ') FROM pg_options_to_table(a.attoptions) AS o) || ')'
  ] END,
  CASE WHEN NOT a.attislocal OR a.attinhcount > 0 OR r.relkind NOT IN ('r', 'p', 'f', 'c') THEN ''
    WHEN r.relkind = 'c' THEN format('ALTER TYPE %%s DROP ATTRIBUTE IF EXISTS %%I', r.ident, a.attname)
    ELSE format('ALTER TABLE IF EXISTS %%s DROP COLUMN IF EXISTS %%I', r.ident, a.attname) END,
  NULL, false, r.relnamespace
FROM rel AS r
JOIN pg_attribute AS a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type AS t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
CROSS JOIN LATERAL (
  SELECT format('ALTER TABLE ONLY %%s ALTER COLUMN %%I ', r.ident, a.attname) AS alter_it,
    format('ALTER TABLE %%s%%s ALTER COLUMN %%I ', CASE WHEN r.relkind <> 'p' THEN 'ONLY ' END, r.ident, a.attname) AS alter_all
) AS says
CROSS JOIN LATERAL (
  SELECT CASE a.attstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END AS storage,
    CASE t.typstorage WHEN 'p' THEN 'PLAIN' WHEN 'e' THEN 'EXTERNAL' WHEN 'm' THEN 'MAIN' ELSE 'EXTENDED' END AS natural_storage
) AS sets
WHERE r.relkind <> 'S'
