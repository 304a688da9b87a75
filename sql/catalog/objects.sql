-- Every object of some schemas, and what hangs on them outside: what it is, and how it is set back or removed.
-- The arms are the files in objects/, joined by UNION ALL; the columns are in digest_columns.sql or full_columns.sql. An arm has:
-- identity, kind, classid, objid, objsubid, parent, definition: those of core.catalog.CatalogObject.
-- keyword, ref: how COMMENT, ALTER … OWNER and DROP address it. owner, acl (NULL: the default), acl_type of acldefault().
-- own_settings, own_clear: 'name=statement', without comment, labels, privileges and, but for sequences, owner: those are
-- added here.
-- depends: what pg_depend says of each, by OIDs; of a view's rule, a column's default, a table's row type and an array
-- type it is said of the view, the column, the table, the element.
-- namespace: of its schema; NULL: it hangs on the application's schemas, or on none.
-- removal: its own way to be dropped ('': none, it goes with its parent). creation: makes it without the archive.
-- No OIDs, no physical column numbers in definitions and settings: a dump and restore gives the same again. Privileges
-- are told as pg_dump does: what differs from Postgres's default; those of the owner by grantee, then what others granted on.
WITH app AS (
  SELECT oid, nspname, nspname = ANY (%(inside)s::text[]) AS inside
  FROM pg_namespace
  WHERE nspname = ANY (%(schemas)s::text[])
), member AS (
  SELECT classid, objid FROM pg_depend
  WHERE deptype = 'e' OR deptype = 'i' AND classid = 'pg_proc'::regclass -- a range type's constructors go with it
), rel AS (
  SELECT c.*, n.nspname, format('%%I.%%I', n.nspname, c.relname) AS ident
  FROM pg_class AS c
  JOIN app AS n ON n.oid = c.relnamespace
  WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S', 'c')
    AND c.relpersistence <> 't'
    AND NOT EXISTS (
      SELECT FROM member AS m
      WHERE m.classid = 'pg_class'::regclass AND m.objid = c.oid
        OR m.classid = 'pg_type'::regclass AND m.objid = c.reltype AND c.relkind = 'c'
    )
), fn AS (
  SELECT p.*, q.qualified, format('%%s(%%s)', q.qualified, pg_get_function_identity_arguments(p.oid)) AS ident
  FROM pg_proc AS p
  JOIN app AS n ON n.oid = p.pronamespace
  CROSS JOIN LATERAL (SELECT format('%%I.%%I', n.nspname, p.proname) AS qualified) AS q
  WHERE NOT EXISTS (SELECT FROM member AS m WHERE m.classid = 'pg_proc'::regclass AND m.objid = p.oid)
), column_acl AS (
  SELECT attrelid, attnum, format(' (%%I)', attname) AS cols, attacl
  FROM pg_attribute WHERE attacl IS NOT NULL AND NOT attisdropped
), label AS (
  SELECT classoid, objoid, objsubid, array_agg(provider ORDER BY provider) AS providers, array_agg(label ORDER BY provider) AS labels
  FROM pg_seclabel
  GROUP BY classoid, objoid, objsubid
), depends AS (
  SELECT x.classid, x.objid, x.objsubid, array_agg(DISTINCT concat_ws('.', x.refclassid, x.refobjid, x.refobjsubid)) AS refs
  FROM (
    SELECT
      CASE WHEN w.oid IS NOT NULL OR f.oid IS NOT NULL THEN 'pg_class'::regclass::oid ELSE d.classid END AS classid,
      coalesce(w.ev_class, f.adrelid, d.objid) AS objid,
      coalesce(f.adnum, d.objsubid) AS objsubid,
      CASE WHEN c.oid IS NOT NULL THEN 'pg_class'::regclass::oid ELSE d.refclassid END AS refclassid,
      coalesce(c.oid, e.oid, d.refobjid) AS refobjid, d.refobjsubid
    FROM pg_depend AS d
    LEFT JOIN pg_rewrite AS w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid AND w.rulename = '_RETURN'
    LEFT JOIN pg_attrdef AS f ON d.classid = 'pg_attrdef'::regclass AND f.oid = d.objid
    LEFT JOIN pg_type AS t ON d.refclassid = 'pg_type'::regclass AND t.oid = d.refobjid
    LEFT JOIN pg_type AS e ON e.oid = CASE WHEN t.typcategory = 'A' AND t.typelem <> 0 THEN t.typelem ELSE t.oid END
    LEFT JOIN pg_class AS c ON c.oid = e.typrelid AND c.relkind <> 'c'
    WHERE d.deptype IN ('n', 'a', 'i', 'P', 'S') AND d.refobjid >= 16384
  ) AS x
  WHERE (x.classid, x.objid) <> (x.refclassid, x.refobjid)
  GROUP BY x.classid, x.objid, x.objsubid
), object (identity, kind, classid, objid, objsubid, parent, definition, keyword, ref, owner, acl, acl_type,
    own_settings, own_clear, removal, creation, foreign_key, namespace) AS (
{arms}
)
SELECT {columns}
FROM object AS o
LEFT JOIN pg_description AS d ON d.objoid = o.objid AND d.classoid = o.classid AND d.objsubid = o.objsubid
LEFT JOIN label ON label.objoid = o.objid AND label.classoid = o.classid AND label.objsubid = o.objsubid
LEFT JOIN depends ON depends.objid = o.objid AND depends.classid = o.classid AND depends.objsubid = o.objsubid
CROSS JOIN LATERAL (
  SELECT CASE o.acl_type WHEN 'r' THEN 'TABLE' WHEN 's' THEN 'SEQUENCE' WHEN 'f' THEN 'ROUTINE' WHEN 'T' THEN 'TYPE'
      WHEN 'S' THEN 'FOREIGN SERVER' ELSE o.keyword END || ' ' || CASE WHEN o.acl_type = 'f' AND o.ref LIKE '%%(*)'
      THEN left(o.ref, -2) || ')' ELSE o.ref END AS granted_on,
    CASE WHEN d.description IS NOT NULL THEN format('COMMENT ON %%s %%s IS ', o.keyword, o.ref) END AS comment_on,
    acldefault(o.acl_type, o.owner) AS default_acl
) AS says
CROSS JOIN LATERAL (SELECT o.acl IS NOT NULL OR o.acl_type = 'r' AND o.objid IN (SELECT attrelid FROM column_acl) AS acl) AS has
LEFT JOIN LATERAL (
  SELECT
    string_agg(format('REVOKE ALL ON %%s FROM %%s', says.granted_on, who.name), E';\n' ORDER BY base.place)
      FILTER (WHERE NOT base.entry = ANY (coalesce(o.acl, says.default_acl))) AS revokes,
    string_agg(format('GRANT ALL ON %%s TO %%s', says.granted_on, who.name), E';\n' ORDER BY base.place) AS grants
  FROM unnest(says.default_acl) WITH ORDINALITY AS base (entry, place)
  CROSS JOIN LATERAL (
    SELECT DISTINCT CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END AS name
    FROM aclexplode(ARRAY[base.entry]) AS x
  ) AS who
  WHERE has.acl
) AS standard ON true
LEFT JOIN LATERAL (
  SELECT
    string_agg(CASE WHEN x.grantor = o.owner THEN x.statement
        ELSE format(E'SET LOCAL ROLE %%I;\n%%s;\nRESET ROLE', pg_get_userbyid(x.grantor), x.statement) END,
      E';\n' ORDER BY x.attnum, x.grantor <> o.owner, CASE WHEN x.grantor = o.owner THEN x.name END, x.place, x.is_grantable) AS grants,
    string_agg(DISTINCT x.name, ', ') AS names
  FROM (
    SELECT a.attnum, a.place, g.grantor, g.is_grantable, who.name,
      format('GRANT %%s ON %%s TO %%s%%s', string_agg(g.privilege_type || a.cols, ', ' ORDER BY g.privilege_type),
        says.granted_on, who.name, CASE WHEN g.is_grantable THEN ' WITH GRANT OPTION' END) AS statement
    FROM (
      SELECT 0 AS attnum, '' AS cols, i.place, i.entry
      FROM unnest(o.acl) WITH ORDINALITY AS i (entry, place)
      WHERE NOT i.entry = ANY (says.default_acl)
      UNION ALL
      SELECT c.attnum, c.cols, i.place, i.entry
      FROM column_acl AS c
      CROSS JOIN LATERAL unnest(c.attacl) WITH ORDINALITY AS i (entry, place)
      WHERE o.acl_type = 'r' AND c.attrelid = o.objid
    ) AS a
    CROSS JOIN LATERAL aclexplode(ARRAY[a.entry]) AS g
    CROSS JOIN LATERAL (
      SELECT CASE WHEN g.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(g.grantee)) END AS name
    ) AS who
    GROUP BY a.attnum, a.place, g.grantor, g.is_grantable, who.name
  ) AS x
  WHERE has.acl
) AS added ON true
CROSS JOIN LATERAL (
  SELECT
    ARRAY[CASE WHEN o.kind <> 'sequence' AND o.owner IS NOT NULL
        THEN format('owner=ALTER %%s %%s OWNER TO %%I', o.keyword, o.ref, pg_get_userbyid(o.owner)) END]
    || o.own_settings
    || ARRAY[
      'comment=' || says.comment_on || quote_literal(d.description),
      'label=' || (SELECT string_agg(format('SECURITY LABEL FOR %%I ON %%s %%s IS %%L', p.name, o.keyword, o.ref, label.labels[p.n]), E';\n')
        FROM unnest(label.providers) WITH ORDINALITY AS p (name, n)),
      'acl=' || nullif(concat_ws(E';\n', standard.revokes, added.grants), '')
    ] AS settings
) AS list
