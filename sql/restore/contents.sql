-- The statements that empty the application's schemas, object by object: not the schemas, not what an extension brought,
-- not what goes with its owner (constructors of ranges), not what belongs to a role that we cannot act
-- for, not what restore/kept names. CASCADE and IF EXISTS let the order be of no matter; what CASCADE
-- could reach outside these schemas is looked for beforehand (restore/blockers). `relation`: the table that goes; `locks`:
-- at most so many does one take.
WITH app AS (
  SELECT oid FROM pg_namespace WHERE nspname = ANY (%(schemas)s::text[])
), object (place, kind, classid, objid, owner) AS (
  SELECT CASE c.relkind WHEN 'r' THEN 1 WHEN 'p' THEN 1 WHEN 'f' THEN 1 WHEN 'm' THEN 2 WHEN 'v' THEN 3 WHEN 'S' THEN 4 ELSE 6 END,
    CASE c.relkind WHEN 'r' THEN 'TABLE' WHEN 'p' THEN 'TABLE' WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'm' THEN 'MATERIALIZED VIEW'
      WHEN 'v' THEN 'VIEW' WHEN 'S' THEN 'SEQUENCE' ELSE 'TYPE' END,
    'pg_class'::regclass, c.oid, c.relowner
  FROM pg_class AS c WHERE c.relnamespace IN (SELECT oid FROM app) AND c.relkind IN ('r', 'p', 'f', 'm', 'v', 'S', 'c')
  UNION ALL
  SELECT 5, 'ROUTINE', 'pg_proc'::regclass, p.oid, p.proowner
  FROM pg_proc AS p WHERE p.pronamespace IN (SELECT oid FROM app)
  UNION ALL
  SELECT 6, 'TYPE', 'pg_type'::regclass, t.oid, t.typowner
  FROM pg_type AS t
  WHERE t.typnamespace IN (SELECT oid FROM app) AND t.typrelid = 0 AND t.typtype IN ('b', 'd', 'e', 'r')
    AND NOT EXISTS (SELECT FROM pg_type AS e WHERE e.typarray = t.oid)
  UNION ALL
  SELECT 7, 'OPERATOR', 'pg_operator'::regclass, o.oid, o.oprowner
  FROM pg_operator AS o WHERE o.oprnamespace IN (SELECT oid FROM app)
  UNION ALL
  SELECT 8, 'OPERATOR CLASS', 'pg_opclass'::regclass, o.oid, o.opcowner
  FROM pg_opclass AS o WHERE o.opcnamespace IN (SELECT oid FROM app)
  UNION ALL
  SELECT 9, 'OPERATOR FAMILY', 'pg_opfamily'::regclass, o.oid, o.opfowner
  FROM pg_opfamily AS o WHERE o.opfnamespace IN (SELECT oid FROM app)
  UNION ALL
  SELECT 9, 'COLLATION', 'pg_collation'::regclass, o.oid, o.collowner
  FROM pg_collation AS o WHERE o.collnamespace IN (SELECT oid FROM app)
  UNION ALL
  SELECT 9, 'CONVERSION', 'pg_conversion'::regclass, o.oid, o.conowner
  FROM pg_conversion AS o WHERE o.connamespace IN (SELECT oid FROM app)
  UNION ALL
  SELECT 9, 'TEXT SEARCH CONFIGURATION', 'pg_ts_config'::regclass, o.oid, o.cfgowner
  FROM pg_ts_config AS o WHERE o.cfgnamespace IN (SELECT oid FROM app)
  UNION ALL
  SELECT 9, 'TEXT SEARCH DICTIONARY', 'pg_ts_dict'::regclass, o.oid, o.dictowner
  FROM pg_ts_dict AS o WHERE o.dictnamespace IN (SELECT oid FROM app)
  UNION ALL
  SELECT 9, 'STATISTICS', 'pg_statistic_ext'::regclass, o.oid, o.stxowner
  FROM pg_statistic_ext AS o WHERE o.stxnamespace IN (SELECT oid FROM app)
)
SELECT format('DROP %%s IF EXISTS %%s CASCADE', o.kind, (pg_identify_object(o.classid, o.objid, 0)).identity) AS statement,
  CASE WHEN o.kind = 'TABLE' THEN o.objid END AS relation,
  3 + 2 * (SELECT count(*) FROM pg_depend AS d WHERE d.refclassid = o.classid AND d.refobjid = o.objid) AS locks
FROM object AS o
WHERE pg_has_role(o.owner, 'USAGE')
  AND NOT EXISTS (
    SELECT FROM pg_depend AS d WHERE d.classid = o.classid AND d.objid = o.objid AND d.deptype = 'e'
  )
  AND NOT (o.classid = 'pg_proc'::regclass AND EXISTS (
    SELECT FROM pg_depend AS d WHERE d.classid = o.classid AND d.objid = o.objid AND d.deptype = 'i'
  ))
  AND NOT (o.classid = 'pg_proc'::regclass AND EXISTS (
    SELECT FROM pg_event_trigger AS e WHERE e.evtfoid = o.objid AND NOT pg_has_role(e.evtowner, 'USAGE')
  ))
ORDER BY o.place, o.objid
