-- Whether there is a migration history.
SELECT to_regclass('supabase_migrations.schema_migrations') IS NOT NULL AS there
