-- The last words of a restore's transaction: rows and hash of each table, before the application can write again.
-- The query is that of sql/snapshot/tables.sql.
DO $prove$
DECLARE
  found record;
  mark record;
BEGIN
  DELETE FROM supabase_migrations.deploy_agent_proof;
  FOR found IN
{tables}
  LOOP
    EXECUTE found.query INTO mark;
    INSERT INTO supabase_migrations.deploy_agent_proof VALUES (found.name, mark.rows, mark.hash);
  END LOOP;
END
$prove$;
