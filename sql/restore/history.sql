-- Versions that the deploy recorded go (one script); the ones before it are written again after this.
DELETE FROM supabase_migrations.schema_migrations;
