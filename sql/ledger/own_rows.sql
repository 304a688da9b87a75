-- The rows of a table of Supabase's that a deploy wrote last, by id, and whether it wrote to the table at all. Only
-- transaction ids that are surely a deploy's own count: what others wrote stays. How one is told from xmin: salvage/rows.
WITH newest AS (
  SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint AS id
), written AS (
  SELECT quote_ident(t.id::text) AS name, newest.id - ((newest.id - 3 - age('3'::xid) + age(t.xmin)) & 4294967295) AS id
  FROM {table} AS t CROSS JOIN newest
  WHERE t.xmin <> 1 AND t.xmin <> 2
)
SELECT
  ARRAY(
    SELECT w.name FROM written AS w
    WHERE EXISTS (SELECT FROM supabase_migrations.deploy_agent_file AS f WHERE f.own_ids @> w.id)) AS names,
  EXISTS (SELECT FROM supabase_migrations.deploy_agent_file AS f WHERE %(name)s = ANY (f.wrote_outside)) AS any
