-- The buckets whose rows a deploy wrote last, and whether it wrote to their table at all. Only ids that are surely a
-- deploy's own count: what others made stays. How an id is told from xmin: salvage/rows.sql.
WITH newest AS (
  SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS id
), written AS (
  SELECT quote_ident(b.id) AS name, newest.id - ((newest.id - 3 - age('3'::xid) + age(b.xmin)) & 4294967295) AS id
  FROM storage.buckets AS b CROSS JOIN newest
  WHERE b.xmin <> 1 AND b.xmin <> 2
)
SELECT
  ARRAY(
    SELECT w.name FROM written AS w
    WHERE EXISTS (SELECT FROM supabase_migrations.deploy_agent_file AS f WHERE f.own_ids @> w.id)) AS names,
  EXISTS (SELECT FROM supabase_migrations.deploy_agent_file AS f WHERE 'storage.buckets' = ANY (f.wrote_outside)) AS any
