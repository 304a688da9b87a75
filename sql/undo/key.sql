-- A foreign key of a table that stays as it is, to one that was made again; DETAIL as in sql/undo/orphans.sql.
DO $key$
BEGIN
  EXECUTE %(statement)s;
EXCEPTION WHEN foreign_key_violation THEN
  RAISE EXCEPTION 'rows written since the backup point at rows that it does not have'
    USING ERRCODE = 'DA003', DETAIL = pg_catalog.to_json(ARRAY[%(child)s::text])::text;
END
$key$;
