-- Whether the schema of the history table is there.
SELECT to_regnamespace('supabase_migrations') IS NOT NULL AS there
