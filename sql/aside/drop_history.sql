-- The history table that a restore made and that is taken back.
DROP TABLE supabase_migrations.schema_migrations
