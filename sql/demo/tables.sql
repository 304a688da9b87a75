-- The tables that the demo compares.
SELECT schemaname AS schema, tablename AS name FROM pg_tables WHERE schemaname IN ('public', 'auth', 'storage') ORDER BY 1, 2
