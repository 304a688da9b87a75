-- What these schemas hold, except what an extension brought, and what belongs to roles that we cannot act for: a new
-- Supabase project has such things, and a restore leaves them alone.
SELECT pg_describe_object(d.classid, d.objid, 0) AS name
FROM pg_depend AS d
JOIN pg_namespace AS n ON n.oid = d.refobjid
WHERE d.refclassid = 'pg_namespace'::regclass
  AND d.deptype = 'n'
  AND d.classid <> 'pg_extension'::regclass
  AND n.nspname = ANY (%(schemas)s::text[])
  AND NOT EXISTS (
    SELECT FROM pg_depend AS e WHERE e.classid = d.classid AND e.objid = d.objid AND e.deptype = 'e'
  )
  AND (
    (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
    OR EXISTS (
      SELECT FROM pg_shdepend AS s
      WHERE s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
        AND s.classid = d.classid AND s.objid = d.objid AND s.deptype = 'o' AND pg_has_role(s.refobjid, 'USAGE')
    )
  )
ORDER BY d.objid
