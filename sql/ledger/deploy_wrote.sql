-- The application's tables that the deploy may have written to, by OID, and whether it may have written to any: to
-- those whose locks say so, and to those that lie in another file now. `any`: also where a trigger may have gone on
-- writing behind the seal, at COMMIT.
WITH file AS (
  SELECT touched, touched_any FROM supabase_migrations.deploy_agent_file WHERE deploy_id = %(deploy_id)s
), touched AS (
  SELECT DISTINCT unnest(touched) AS id FROM file
)
SELECT
  ARRAY(
    SELECT c.oid FROM pg_class AS c
    WHERE c.relkind IN ('r', 'p') AND c.relnamespace <> 'supabase_migrations'::regnamespace
      AND (c.oid IN (SELECT id FROM touched) OR EXISTS (
        SELECT FROM supabase_migrations.deploy_agent_relation AS before
        WHERE before.id = c.oid AND before.filenode <> pg_relation_filenode(c.oid)))
    ORDER BY c.oid
  ) AS tables,
  coalesce((SELECT bool_or(touched_any) FROM file), false) OR EXISTS (
    SELECT FROM pg_trigger AS t
    WHERE t.tgrelid IN (SELECT id FROM touched) AND t.tgdeferrable AND NOT t.tgisinternal
  ) AS any
