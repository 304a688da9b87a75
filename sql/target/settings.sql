-- Settings of the server that matter to deploys, backups and restores: for a support bundle. None of them can hold a secret.
SELECT name, setting, unit, source
FROM pg_settings
WHERE name = ANY (ARRAY[
  'autovacuum', 'checkpoint_timeout', 'client_encoding', 'default_transaction_isolation',
  'default_transaction_read_only', 'event_triggers', 'idle_in_transaction_session_timeout', 'idle_session_timeout',
  'lock_timeout', 'log_lock_waits', 'maintenance_work_mem', 'max_connections', 'max_locks_per_transaction',
  'max_prepared_transactions', 'max_replication_slots', 'max_slot_wal_keep_size', 'max_wal_size', 'max_wal_senders',
  'password_encryption', 'row_security', 'search_path', 'server_encoding', 'server_version', 'session_replication_role',
  'shared_buffers', 'shared_preload_libraries', 'ssl', 'statement_timeout', 'superuser_reserved_connections',
  'temp_file_limit', 'timezone', 'transaction_timeout', 'wal_level', 'work_mem'
])
ORDER BY name
