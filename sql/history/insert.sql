-- Record one applied migration.
INSERT INTO supabase_migrations.schema_migrations (version, name, statements) VALUES (%(version)s, %(name)s, %(statements)s)
