-- Whether tables can be loaded ahead: there is a schema for them that this role may use, and nothing adds rights to a
-- table that it makes there. `role`: who makes them.
SELECT current_user AS role,
  coalesce(has_schema_privilege(to_regnamespace('supabase_migrations')::oid, 'CREATE, USAGE'), false)
  AND NOT EXISTS (
    SELECT FROM pg_default_acl AS d
    WHERE d.defaclrole = (SELECT oid FROM pg_roles WHERE rolname = current_user)
      AND d.defaclobjtype = 'r' AND d.defaclnamespace IN (0, to_regnamespace('supabase_migrations')::oid)
  ) AS fit
