-- Roles that something in the backup belongs to, is granted to, or is a policy for: pg_shdepend names them all, except
-- those that every cluster has. A policy counts in whatever schema its table is; so do large objects, which have none, and
-- our own default privileges.
SELECT DISTINCT pg_get_userbyid(d.refobjid) AS name
FROM pg_shdepend AS d
CROSS JOIN LATERAL pg_identify_object(d.classid, d.objid, d.objsubid) AS o
WHERE d.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND d.refclassid = 'pg_authid'::regclass
  AND d.deptype IN ('o', 'a', 'r')
  AND (o.schema = ANY (%(schemas)s::text[])
    OR (d.classid = 'pg_namespace'::regclass AND d.objid IN (SELECT oid FROM pg_namespace WHERE nspname = ANY (%(schemas)s::text[])))
    OR d.classid IN ('pg_policy'::regclass, 'pg_largeobject'::regclass)
    OR (d.classid = 'pg_default_acl'::regclass
      AND d.objid IN (SELECT oid FROM pg_default_acl WHERE pg_get_userbyid(defaclrole) = current_user)))
ORDER BY 1
