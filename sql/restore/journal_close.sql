-- The last words of the last batch, or of a restore in one transaction that takes the place of an unfinished one (one script). The schema goes too if the journal was all that it held.
DROP TABLE supabase_migrations.deploy_agent_restore;
DO $close$
BEGIN
  DROP SCHEMA supabase_migrations;
EXCEPTION WHEN dependent_objects_still_exist OR insufficient_privilege THEN NULL;
END
$close$;
