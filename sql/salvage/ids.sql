-- The transaction ids that are the deploy's: its own; those of which some may be others'; what its restores loaded; and
-- the first of them. A statement that was sent by itself wrote under ids between those of the notes before and behind it.
WITH file AS (
  SELECT own_ids, unsure_ids FROM supabase_migrations.deploy_agent_file WHERE deploy_id = %(deploy_id)s
), fence AS (
  SELECT began, ended FROM supabase_migrations.deploy_agent_fence WHERE deploy_id = %(deploy_id)s
), statement AS (
  SELECT int8range(l.began, coalesce(l.ended, fence.ended, %(next)s), '[]') AS ids
  FROM supabase_migrations.deploy_agent_ledger AS l CROSS JOIN fence
  WHERE l.deploy_id = %(deploy_id)s AND l.writes
)
SELECT
  (SELECT coalesce(range_agg(ids), '{}') FROM file, unnest(file.own_ids) AS ids)::text AS own,
  (SELECT coalesce(range_agg(ids), '{}') FROM (
    SELECT ids FROM file, unnest(file.unsure_ids) AS ids UNION ALL SELECT ids FROM statement) AS unsure (ids))::text AS unsure,
  (SELECT coalesce(range_agg(ids), '{}') FROM (
    SELECT int8range(began, began, '[]') FROM fence
    UNION ALL
    SELECT int8range(ended, ended, '[]') FROM fence WHERE ended IS NOT NULL) AS noted (ids))::text AS noted,
  (SELECT coalesce(range_agg(int8range(id, id, '[]')), '{}') FROM (
    SELECT %(next)s::bigint - ((%(next)s::bigint - p.xmin::text::bigint) & 4294967295)
    FROM supabase_migrations.deploy_agent_proof AS p) AS restored (id))::text AS restored,
  (SELECT began FROM fence) AS began
