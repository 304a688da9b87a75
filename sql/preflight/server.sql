-- What answers, whether it can be written to, and how old its oldest unfrozen transaction is.
SELECT current_setting('server_version_num')::int AS version,
  current_setting('server_version') AS version_text,
  pg_is_in_recovery() AS in_recovery,
  current_setting('transaction_read_only')::boolean AS read_only,
  current_user AS role,
  pg_has_role(current_user, 'pg_read_all_stats', 'USAGE') AS sees_activity,
  (SELECT age(datfrozenxid) FROM pg_database WHERE datname = current_database()) AS xid_age,
  (SELECT mxid_age(datminmxid) FROM pg_database WHERE datname = current_database()) AS mxid_age
