-- With the transaction ids of a restore's batches that have committed: what they loaded is in the backup.
SELECT (%(restored)s::int8multirange + coalesce(range_agg(int8range(id, id, '[]')), '{}'))::text AS restored
FROM (
  SELECT %(next)s::bigint - ((%(next)s::bigint - r.xmin::text::bigint) & 4294967295)
  FROM supabase_migrations.deploy_agent_restore AS r WHERE r.done
) AS batch (id)
