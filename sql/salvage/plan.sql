-- The statements that put the rows of one salvaged table back, made from what the table is now. The rows are staged as
-- text, as they are in the file: s.c1 and so on. They are compared as text, too: not every type has an equality, and
-- the one of an extension's type may not be on the search path. Types come without length: a value that is too long is
-- refused, not cut. `id` is null where there is no such table, `sets` and `key` where nothing can be overwritten.
WITH wanted AS (
  SELECT to_regclass(%(table)s) AS id, format('pg_temp.%%I', %(stage)s::text) AS stage
), field AS (
  SELECT c.number, c.name, quote_ident(a.attname) AS column, format('s.c%%s::%%s', c.number, format_type(a.atttypid, -1)) AS value,
    a.attname IS NOT NULL AS fits,
    coalesce(a.attnum = ANY (i.indkey), false) AS is_key,
    a.attidentity <> 'a' AS settable,
    i.indnkeyatts
  FROM wanted
  CROSS JOIN LATERAL unnest(%(columns)s::text[]) WITH ORDINALITY AS c (name, number)
  LEFT JOIN pg_attribute AS a ON a.attrelid = wanted.id AND a.attname = c.name AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
  LEFT JOIN pg_index AS i ON i.indrelid = wanted.id AND i.indisprimary
), list AS (
  SELECT
    string_agg(format('c%%s text', number), ', ' ORDER BY number) AS stage,
    string_agg(format('c%%s', number), ', ' ORDER BY number) AS staged,
    string_agg(f.column, ', ' ORDER BY number) FILTER (WHERE fits) AS columns,
    string_agg(value, ', ' ORDER BY number) FILTER (WHERE fits) AS values,
    string_agg(format('t.%%s', f.column), ', ' ORDER BY number) FILTER (WHERE fits) AS present,
    string_agg(format('%%s = %%s', f.column, value), ', ' ORDER BY number) FILTER (WHERE fits AND NOT is_key AND settable) AS sets,
    CASE WHEN count(*) FILTER (WHERE is_key) = max(indnkeyatts) THEN string_agg(format('t.%%s', f.column), ', ' ORDER BY number) FILTER (WHERE is_key) END AS key_present,
    string_agg(value, ', ' ORDER BY number) FILTER (WHERE is_key) AS key_values,
    coalesce(array_agg(name ORDER BY number) FILTER (WHERE NOT fits), '{}') AS left_out
  FROM field AS f
)
SELECT
  wanted.id::oid AS id,
  list.left_out,
  wanted.stage AS stage,
  format('CREATE TEMPORARY TABLE %%s (line bigint GENERATED ALWAYS AS IDENTITY, kind text, state text, reason text, %%s) ON COMMIT DROP', wanted.stage, list.stage) AS make,
  format('COPY %%s (kind, %%s) FROM STDIN', wanted.stage, list.staged) AS fill,
  format('INSERT INTO %%s (%%s) OVERRIDING SYSTEM VALUE SELECT %%s FROM %%s AS s WHERE s.state IS NULL', wanted.id, list.columns, list.values, wanted.stage) AS insert,
  format('ROW(%%s)::text', list.present) AS present,
  format('ROW(%%s)::text', list.values) AS staged,
  format('UPDATE ONLY %%s AS t SET %%s FROM %%s AS s WHERE s.state = ''differs'' AND ROW(%%s)::text = ROW(%%s)::text', wanted.id, list.sets, wanted.stage, list.key_present, list.key_values) AS overwrite,
  list.columns IS NOT NULL AS any,
  list.sets IS NOT NULL AND list.key_present IS NOT NULL AS overwrites
FROM wanted CROSS JOIN list
