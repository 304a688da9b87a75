-- Who may do what in the database, but for its owner; also what Postgres grants by itself, which can be revoked.
SELECT 'database' AS kind, format('%%I: privileges of %%s', d.datname, who.name) AS name, false AS replaces,
  string_agg(
    format('GRANT %%s ON DATABASE %%I TO %%s%%s', x.privileges, d.datname, who.name, CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END),
    E';\n' ORDER BY x.is_grantable) AS create_sql,
  format('REVOKE ALL ON DATABASE %%I FROM %%s CASCADE', d.datname, who.name) AS drop_sql
FROM pg_database AS d
CROSS JOIN LATERAL (
  SELECT a.grantee, a.is_grantable, string_agg(DISTINCT a.privilege_type, ', ' ORDER BY a.privilege_type) AS privileges
  FROM aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) AS a
  WHERE a.grantee <> d.datdba
  GROUP BY a.grantee, a.is_grantable
) AS x
CROSS JOIN LATERAL (
  SELECT CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END AS name
) AS who
WHERE d.datname = current_database()
GROUP BY d.datname, who.name
ORDER BY 2
