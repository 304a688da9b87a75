-- The last words of a restore's transaction: rows and hash of each table, before the application can write again.
-- The query is that of sql/snapshot/tables.sql. What is rolled back lets go of the locks that reading took: there may be
-- thousands of tables. A variable keeps what it got.
DO $prove$
DECLARE
  found record;
  mark record;
BEGIN
  DELETE FROM supabase_migrations.deploy_agent_proof;
  FOR found IN
{tables}
  LOOP
    BEGIN
      EXECUTE found.query INTO mark;
      RAISE EXCEPTION USING ERRCODE = 'DA005';
    EXCEPTION WHEN SQLSTATE 'DA005' THEN NULL;
    END;
    INSERT INTO supabase_migrations.deploy_agent_proof VALUES (found.name, mark.rows, mark.hash);
  END LOOP;
END
$prove$;
