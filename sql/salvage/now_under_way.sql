-- The snapshot that the rows are read in, and all transaction ids that were under way in it: it does not name those of
-- subtransactions. They are looked at from the highest to the lowest: a transaction that has not ended by then had not
-- ended when its subtransactions were looked at. `complete`: none has ended since the snapshot, and there were not too
-- many to look at each.
WITH now AS (
  SELECT pg_current_snapshot() AS snapshot,
    pg_snapshot_xmin(pg_current_snapshot())::text::bigint AS low, pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS high
), under_way AS (
  SELECT coalesce(array_agg(since.id), '{}') AS ids
  FROM now CROSS JOIN LATERAL generate_series(now.high - 1, greatest(now.low, now.high - 100000), -1) AS since (id)
  WHERE pg_xact_status(since.id::text::xid8) = 'in progress'
)
SELECT now.snapshot::text AS until, under_way.ids,
  NOT EXISTS (SELECT FROM pg_snapshot_xip(now.snapshot) AS running (id) WHERE running.id::text::bigint <> ALL (under_way.ids)) AS complete
FROM now CROSS JOIN under_way
