-- Constraints of tables and domains, and foreign keys of other schemas' tables to them. Left out are the copies that
-- Postgres keeps of a key to a partitioned table, one for each partition, under names of its own; and NOT NULL, which is
-- a setting of its column or domain. An extension's domain has its own.
SELECT 'constraint:' || o.owner || '.' || quote_ident(con.conname), 'constraint', 'pg_constraint'::regclass::oid, con.oid, 0,
  CASE WHEN con.conrelid = 0 THEN 'type:' ELSE 'relation:' END || o.owner,
  concat_ws(' ', pg_get_constraintdef(con.oid), CASE WHEN NOT con.conislocal THEN 'INHERITED' END),
  'CONSTRAINT', quote_ident(con.conname) || ' ON ' || CASE WHEN con.conrelid = 0 THEN 'DOMAIN ' ELSE '' END || o.owner,
  NULL::oid, NULL::aclitem[], NULL::"char", NULL::text[], NULL::text[],
  CASE WHEN NOT con.conislocal OR con.coninhcount > 0 THEN ''
    ELSE format('ALTER %%s %%s DROP CONSTRAINT IF EXISTS %%I', o.keyword, o.owner, con.conname) END,
  CASE WHEN con.conislocal THEN format('ALTER %%s %%s ADD CONSTRAINT %%I %%s', CASE WHEN con.conrelid = 0 THEN 'DOMAIN' ELSE 'TABLE' END,
    o.owner, con.conname, pg_get_constraintdef(con.oid)) END,
  con.contype = 'f', coalesce((SELECT c.relnamespace FROM pg_class AS c JOIN app AS n ON n.oid = c.relnamespace AND n.inside
    WHERE c.oid = con.confrelid), con.connamespace)
FROM pg_constraint AS con
CROSS JOIN LATERAL (
  SELECT CASE WHEN con.conrelid = 0 THEN con.contypid::regtype::text ELSE con.conrelid::regclass::text END AS owner,
    CASE WHEN con.conrelid = 0 THEN 'DOMAIN' ELSE 'TABLE IF EXISTS' END AS keyword
) AS o
WHERE con.contype NOT IN ('t', 'n')
  AND CASE WHEN con.conrelid = 0 THEN con.connamespace IN (SELECT oid FROM app)
      ELSE con.conrelid IN (SELECT oid FROM rel) OR con.confrelid IN (SELECT oid FROM rel) END
  AND NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_type'::regclass AND m.objid = con.contypid)
  AND NOT (con.contype = 'f' AND con.conparentid <> 0
    AND con.conrelid = (SELECT p.conrelid FROM pg_constraint AS p WHERE p.oid = con.conparentid))
