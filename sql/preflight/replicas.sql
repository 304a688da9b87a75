-- Replicas that are behind (documentation: pg_stat_replication).
SELECT application_name AS application, host(client_addr) AS client,
  extract(epoch FROM replay_lag)::float8 AS seconds
FROM pg_stat_replication
WHERE replay_lag > make_interval(secs => %(seconds)s)
ORDER BY replay_lag DESC
LIMIT 20
