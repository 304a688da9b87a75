-- Of these large objects, those that the deploy has made, or may have. `sure`: nobody else can have: it altered none, so the
-- transaction id of its entry is of the one that made it. As in salvage/rows.
SELECT o.oid::text AS name,
  written.id <@ %(own)s::int8multirange AND NOT EXISTS (
    SELECT FROM supabase_migrations.deploy_agent_file AS file
    WHERE file.deploy_id = %(deploy_id)s AND 'pg_largeobject_metadata'::regclass::oid = ANY (file.replaced)) AS sure
FROM pg_largeobject_metadata AS o
CROSS JOIN LATERAL (
  SELECT %(next)s::bigint - ((%(next)s::bigint - o.xmin::text::bigint) & 4294967295) AS id
) AS written
WHERE o.oid = ANY (%(objects)s::oid[]) AND o.xmin::text::bigint >= 3
  AND (written.id <@ %(own)s::int8multirange OR written.id <@ %(unsure)s::int8multirange)
