-- Whether tables can be loaded ahead: there is a schema for them that this role may use, nothing adds rights to a table that
-- it makes there, and no publication sends its rows to subscribers that know no such table. `role`: who makes them.
SELECT current_user AS role,
  coalesce(has_schema_privilege(to_regnamespace('supabase_migrations')::oid, 'CREATE, USAGE'), false)
  AND NOT EXISTS (
    SELECT FROM pg_default_acl AS d
    WHERE d.defaclrole = (SELECT oid FROM pg_roles WHERE rolname = current_user)
      AND d.defaclobjtype = 'r' AND d.defaclnamespace IN (0, to_regnamespace('supabase_migrations')::oid)
  )
  AND NOT EXISTS (SELECT FROM pg_publication WHERE puballtables)
  AND NOT EXISTS (SELECT FROM pg_publication_namespace WHERE pnnspid = to_regnamespace('supabase_migrations')::oid) AS fit
