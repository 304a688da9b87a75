-- Forget migrations that a rollback script has undone.
DELETE FROM supabase_migrations.schema_migrations WHERE version = ANY (%(versions)s::text[])
