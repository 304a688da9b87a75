-- Where no restore takes them any more; the schema goes if it was made for them (`alone`) and holds nothing else.
DO $unstage$
BEGIN
  DROP TABLE IF EXISTS supabase_migrations.deploy_agent_large;
  IF %(alone)s THEN
    DROP SCHEMA supabase_migrations;
  END IF;
EXCEPTION WHEN dependent_objects_still_exist THEN
  DROP TABLE IF EXISTS supabase_migrations.deploy_agent_large;
END
$unstage$
