-- The same from a table that has the version alone (made by an old CLI).
SELECT version, NULL AS name, NULL AS statements FROM supabase_migrations.schema_migrations ORDER BY version COLLATE "C"
