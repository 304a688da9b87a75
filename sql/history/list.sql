-- All applied migrations, in the order of their versions as strings.
SELECT version, name, statements FROM supabase_migrations.schema_migrations ORDER BY version COLLATE "C"
