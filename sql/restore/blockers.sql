-- What lies outside the application's schemas, or belongs to an extension or to a role we cannot act for, and depends on
-- what a restore drops: CASCADE would take it along, and nothing would bring it back. Triggers, policies, publications and
-- event triggers are not named here: the restore takes care of them; nor are the constructors of a range type, which belong
-- to the superuser who made the cluster, and go and come with the type.
WITH app AS (
  SELECT oid FROM pg_namespace WHERE nspname = ANY (%(schemas)s::text[])
), owned (classid, objid, owner) AS (
  SELECT 'pg_class'::regclass::oid, c.oid, c.relowner FROM pg_class AS c WHERE c.relnamespace IN (SELECT oid FROM app)
  UNION ALL
  SELECT 'pg_proc'::regclass, p.oid, p.proowner FROM pg_proc AS p WHERE p.pronamespace IN (SELECT oid FROM app)
  UNION ALL
  SELECT 'pg_type'::regclass, t.oid, t.typowner FROM pg_type AS t WHERE t.typnamespace IN (SELECT oid FROM app)
), dropped AS (
  SELECT o.classid, o.objid FROM owned AS o
  WHERE pg_has_role(o.owner, 'USAGE')
    AND NOT EXISTS (
      SELECT FROM pg_depend AS d WHERE d.classid = o.classid AND d.objid = o.objid AND d.deptype = 'e'
    )
), dependent AS (
  SELECT d.classid, d.objid, d.objsubid, d.refclassid, d.refobjid, d.refobjsubid,
    CASE d.classid
      WHEN 'pg_class'::regclass THEN d.objid
      WHEN 'pg_rewrite'::regclass THEN (SELECT r.ev_class FROM pg_rewrite AS r WHERE r.oid = d.objid)
      WHEN 'pg_attrdef'::regclass THEN (SELECT a.adrelid FROM pg_attrdef AS a WHERE a.oid = d.objid)
      WHEN 'pg_constraint'::regclass THEN (SELECT nullif(k.conrelid, 0) FROM pg_constraint AS k WHERE k.oid = d.objid)
    END AS relation,
    CASE d.classid
      WHEN 'pg_proc'::regclass THEN (SELECT p.pronamespace FROM pg_proc AS p WHERE p.oid = d.objid)
      WHEN 'pg_type'::regclass THEN (SELECT t.typnamespace FROM pg_type AS t WHERE t.oid = d.objid)
    END AS namespace
  FROM pg_depend AS d
  JOIN dropped AS o ON o.classid = d.refclassid AND o.objid = d.refobjid
  WHERE d.deptype IN ('n', 'a')
    AND d.classid IN ('pg_class'::regclass, 'pg_rewrite'::regclass, 'pg_attrdef'::regclass, 'pg_constraint'::regclass,
                      'pg_proc'::regclass, 'pg_type'::regclass)
)
SELECT DISTINCT
  CASE WHEN d.relation IS NULL THEN pg_describe_object(d.classid, d.objid, d.objsubid)
    ELSE pg_describe_object('pg_class'::regclass, d.relation, CASE WHEN d.classid = 'pg_class'::regclass THEN d.objsubid ELSE 0 END)
  END AS object,
  pg_describe_object(d.refclassid, d.refobjid, 0) AS needs
FROM dependent AS d
LEFT JOIN pg_class AS c ON c.oid = d.relation
WHERE coalesce(c.relkind <> 't', true)
  AND NOT EXISTS (
    SELECT FROM dropped AS o
    WHERE (d.relation IS NOT NULL AND o.classid = 'pg_class'::regclass AND o.objid = d.relation)
      OR (d.relation IS NULL AND o.classid = d.classid AND o.objid = d.objid)
  )
  AND coalesce(c.relnamespace, d.namespace) IS NOT NULL
  AND NOT EXISTS (
    SELECT FROM pg_depend AS i
    WHERE d.classid = 'pg_proc'::regclass AND i.classid = d.classid AND i.objid = d.objid AND i.deptype = 'i'
  )
ORDER BY 1
