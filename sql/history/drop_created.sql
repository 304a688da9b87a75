-- Take back what sql/history/create.sql made for a deploy that then changed nothing (one script).
DROP TABLE IF EXISTS supabase_migrations.schema_migrations;
DROP SCHEMA IF EXISTS supabase_migrations
