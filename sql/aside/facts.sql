-- What a database is that a backup of another one is to be restored into, and what its role may do there.
SELECT
  current_user AS role,
  current_setting('server_version_num')::int / 10000 AS server_major,
  pg_is_in_recovery() OR current_setting('default_transaction_read_only')::bool AS read_only,
  has_database_privilege(current_database(), 'CREATE') AS may_create,
  (SELECT array_agg(nspname ORDER BY nspname) FROM pg_namespace WHERE nspname !~ '^pg_') AS schemas,
  (SELECT coalesce(array_agg(nspname ORDER BY nspname), '{}') FROM pg_namespace
   WHERE nspname = ANY (%(schemas)s::text[]) AND NOT has_schema_privilege(oid, 'CREATE')) AS closed_schemas,
  (SELECT array_agg(rolname ORDER BY rolname) FROM pg_roles) AS roles,
  (SELECT coalesce(array_agg(rolname ORDER BY rolname), '{}') FROM pg_roles
   WHERE NOT pg_has_role(oid, 'USAGE')) AS foreign_roles,
  (SELECT array_agg(name ORDER BY name) FROM pg_available_extensions) AS extensions,
  to_regclass('supabase_migrations.schema_migrations') IS NOT NULL AS has_history
