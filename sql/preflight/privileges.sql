-- Whether this role can make and write the history table (by name only: to_regclass fails without USAGE on the schema).
SELECT current_user AS role, current_database() AS database,
  has_database_privilege(current_database(), 'CREATE') AS database_create,
  s.oid IS NOT NULL AS has_schema,
  has_schema_privilege(s.oid, 'USAGE') AS schema_usage,
  has_schema_privilege(s.oid, 'CREATE') AS schema_create,
  t.oid IS NOT NULL AS has_table,
  has_table_privilege(t.oid, 'SELECT') AS table_select,
  has_table_privilege(t.oid, 'INSERT') AS table_insert,
  has_table_privilege(t.oid, 'DELETE') AS table_delete,
  has_parameter_privilege('session_replication_role', 'SET') AS replication_role
FROM (VALUES (1)) AS one
LEFT JOIN pg_namespace AS s ON s.nspname = 'supabase_migrations'
LEFT JOIN pg_class AS t ON t.relnamespace = s.oid AND t.relname = 'schema_migrations'
