-- Relations to which the deploy did not only add rows, and the file of each table of before.
SELECT
  ARRAY(
    SELECT DISTINCT unnest(replaced) FROM supabase_migrations.deploy_agent_file WHERE deploy_id = %(deploy_id)s
  ) AS replaced,
  ARRAY(SELECT id FROM supabase_migrations.deploy_agent_relation ORDER BY id) AS ids,
  ARRAY(SELECT filenode FROM supabase_migrations.deploy_agent_relation ORDER BY id) AS filenodes
