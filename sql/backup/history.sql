-- The rows of the migration history as statements; whatever columns the table has.
SELECT format(
  'INSERT INTO supabase_migrations.schema_migrations SELECT * FROM jsonb_populate_record('
  'NULL::supabase_migrations.schema_migrations, %L::jsonb);', to_jsonb(h)) AS statement
FROM supabase_migrations.schema_migrations AS h
ORDER BY h.version
