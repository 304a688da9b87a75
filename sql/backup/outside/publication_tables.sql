-- Which tables are published, with column list and row filter; those of the application leave it when they are dropped.
SELECT 'publication table' AS kind,
  format('%%I in %%I', p.pubname, c.relname) || ' of ' || quote_ident(n.nspname) AS name,
  n.nspname = ANY (%(schemas)s::text[]) AS tied, 'pg_publication_rel'::regclass::oid::int8 AS classid, r.oid::int8 AS objid,
  format('ALTER PUBLICATION %%I ADD TABLE ONLY %%I.%%I%%s%%s', p.pubname, n.nspname, c.relname,
    ' (' || (SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum)
             FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum = ANY (r.prattrs::int2[])) || ')',
    ' WHERE (' || pg_get_expr(r.prqual, r.prrelid) || ')') AS create_sql,
  format('ALTER PUBLICATION %%I DROP TABLE ONLY %%I.%%I', p.pubname, n.nspname, c.relname) AS drop_sql
FROM pg_publication_rel AS r
JOIN pg_publication AS p ON p.oid = r.prpubid
JOIN pg_class AS c ON c.oid = r.prrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
UNION ALL
SELECT 'publication schema', format('%%I in %%I', p.pubname, n.nspname), false, 0, 0,
  format('ALTER PUBLICATION %%I ADD TABLES IN SCHEMA %%I', p.pubname, n.nspname),
  format('ALTER PUBLICATION %%I DROP TABLES IN SCHEMA %%I', p.pubname, n.nspname)
FROM pg_publication_namespace AS r
JOIN pg_publication AS p ON p.oid = r.pnpubid
JOIN pg_namespace AS n ON n.oid = r.pnnspid
ORDER BY 1, 2
