-- The replication slots that keep the most WAL, at most %(most)s of them (documentation: pg_replication_slots).
SELECT slot_name::text AS name, active, coalesce(wal_status = 'lost', false) AS lost,
  greatest(coalesce(pg_wal_lsn_diff(
    CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END, restart_lsn
  ), 0), 0)::bigint AS retained_bytes
FROM pg_replication_slots
WHERE NOT temporary
ORDER BY retained_bytes DESC, name
LIMIT %(most)s
