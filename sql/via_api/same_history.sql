-- Nobody has recorded a migration since the plan was made.
DO $deploy_agent$
BEGIN
  IF (SELECT array_agg(version ORDER BY version COLLATE "C") FROM supabase_migrations.schema_migrations)
    IS DISTINCT FROM nullif(%(versions)s::text[], '{}') THEN
    RAISE EXCEPTION USING ERRCODE = 'DA011', MESSAGE = 'the history is no longer what the plan was made from';
  END IF;
END
$deploy_agent$
