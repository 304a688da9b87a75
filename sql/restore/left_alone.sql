-- What lies in the application's schemas and belongs to a role that we cannot act for: it can neither be dropped nor made
-- again, so it stays as it is. Without what an extension brought.
SELECT pg_describe_object(o.classid, o.objid, 0) AS object, pg_get_userbyid(o.owner) AS owner
FROM (
  SELECT 'pg_class'::regclass::oid, oid, relowner, relnamespace FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  UNION ALL
  SELECT 'pg_proc'::regclass, oid, proowner, pronamespace FROM pg_proc
  UNION ALL
  SELECT 'pg_type'::regclass, oid, typowner, typnamespace FROM pg_type
  WHERE typtype IN ('d', 'e', 'r', 'm') OR typrelid IN (SELECT oid FROM pg_class WHERE relkind = 'c')
  UNION ALL
  SELECT 'pg_operator'::regclass, oid, oprowner, oprnamespace FROM pg_operator
  UNION ALL
  SELECT 'pg_opclass'::regclass, oid, opcowner, opcnamespace FROM pg_opclass
  UNION ALL
  SELECT 'pg_opfamily'::regclass, oid, opfowner, opfnamespace FROM pg_opfamily
  UNION ALL
  SELECT 'pg_collation'::regclass, oid, collowner, collnamespace FROM pg_collation
  UNION ALL
  SELECT 'pg_conversion'::regclass, oid, conowner, connamespace FROM pg_conversion
  UNION ALL
  SELECT 'pg_ts_config'::regclass, oid, cfgowner, cfgnamespace FROM pg_ts_config
  UNION ALL
  SELECT 'pg_ts_dict'::regclass, oid, dictowner, dictnamespace FROM pg_ts_dict
) AS o (classid, objid, owner, namespace)
JOIN pg_namespace AS n ON n.oid = o.namespace
WHERE n.nspname = ANY (%(schemas)s::text[])
  AND NOT pg_has_role(o.owner, 'USAGE')
  AND NOT EXISTS (
    SELECT FROM pg_depend AS d WHERE d.classid = o.classid AND d.objid = o.objid AND d.deptype IN ('e', 'i', 'a')
  )
ORDER BY 1
