-- Whether anybody but the deploy has committed anything since the backup's snapshot; yes, where there are too many
-- transactions to look at each.
SELECT %(next)s::bigint - %(high)s::bigint > 100000 OR EXISTS (
  SELECT FROM (
    SELECT unnest(%(running)s::bigint[]) AS id
    UNION ALL
    SELECT generate_series(%(high)s::bigint, least(%(next)s::bigint - 1, %(high)s::bigint + 100000))
  ) AS since
  WHERE NOT since.id <@ (%(own)s::int8multirange + %(noted)s::int8multirange + %(restored)s::int8multirange) AND pg_xact_status(since.id::text::xid8) = 'committed'
) AS others
