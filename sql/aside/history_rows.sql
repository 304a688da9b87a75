-- How many migrations a database that is restored into says it has.
SELECT count(*) AS rows FROM supabase_migrations.schema_migrations
