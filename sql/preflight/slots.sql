-- Replication slots that keep much WAL, or have lost what they need (documentation: pg_replication_slots).
SELECT slot_name AS slot, active, wal_status,
  pg_wal_lsn_diff(
    CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, restart_lsn
  )::bigint AS retained_bytes
FROM pg_replication_slots
WHERE wal_status IN ('unreserved', 'lost')
  OR pg_wal_lsn_diff(
    CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, restart_lsn
  ) > %(bytes)s
ORDER BY slot_name
LIMIT 20
