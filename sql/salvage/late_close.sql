-- They are in a salvage now (one script). The schema goes too if they were all that it held.
DROP TABLE supabase_migrations.deploy_agent_late;
DO $close$
BEGIN
  DROP SCHEMA supabase_migrations;
EXCEPTION WHEN dependent_objects_still_exist OR insufficient_privilege THEN NULL;
END
$close$
