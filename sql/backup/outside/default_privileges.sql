-- Default privileges. The restoring role's own are tied: they would add to the grants of all that is made again.
-- Those of one schema only add to Postgres's own; those of no schema replace them, so both ways are spelled out.
SELECT 'default privileges' AS kind,
  format('of %%I in %%s on %%s for %%s', role.name, coalesce(quote_ident(n.nspname), 'every schema'), type.name, who.name) AS name,
  role.name = current_user AND (n.nspname = ANY (%(schemas)s::text[])) AS tied,
  string_agg(
    format('ALTER DEFAULT PRIVILEGES FOR ROLE %%I IN SCHEMA %%I GRANT %%s ON %%s TO %%s%%s', role.name, n.nspname, x.privileges,
      type.name, who.name, CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' END), E';\n' ORDER BY x.is_grantable) AS create_sql,
  format('ALTER DEFAULT PRIVILEGES FOR ROLE %%I IN SCHEMA %%I REVOKE ALL ON %%s FROM %%s', role.name, n.nspname, type.name,
    who.name) AS drop_sql,
  d.oid AS entry, min(x.place) AS place
FROM pg_default_acl AS d
JOIN pg_namespace AS n ON n.oid = d.defaclnamespace
CROSS JOIN LATERAL (SELECT pg_get_userbyid(d.defaclrole) AS name) AS role
CROSS JOIN LATERAL (
  SELECT CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS' WHEN 'T' THEN 'TYPES' END AS name
) AS type
CROSS JOIN LATERAL (
  SELECT a.grantee, a.is_grantable, string_agg(a.privilege_type, ', ' ORDER BY a.privilege_type) AS privileges, min(a.place) AS place
  FROM aclexplode(d.defaclacl) WITH ORDINALITY AS a (grantor, grantee, privilege_type, is_grantable, place)
  GROUP BY a.grantee, a.is_grantable
) AS x
CROSS JOIN LATERAL (
  SELECT CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END AS name
) AS who
GROUP BY d.oid, n.nspname, role.name, type.name, who.name
UNION ALL
SELECT 'default privileges', format('of %%I in every schema on %%s', role.name, type.name),
  role.name = current_user,
  concat_ws(E';\n',
    CASE WHEN d.defaclobjtype IN ('f', 'T') THEN format('ALTER DEFAULT PRIVILEGES FOR ROLE %%I REVOKE ALL ON %%s FROM PUBLIC', role.name, type.name) END,
    format('ALTER DEFAULT PRIVILEGES FOR ROLE %%I REVOKE ALL ON %%s FROM %%I', role.name, type.name, role.name),
    grants.all_of_them),
  concat_ws(E';\n', grants.none_of_them,
    CASE WHEN d.defaclobjtype IN ('f', 'T') THEN
      format('ALTER DEFAULT PRIVILEGES FOR ROLE %%I GRANT ALL ON %%s TO PUBLIC', role.name, type.name) END,
    format('ALTER DEFAULT PRIVILEGES FOR ROLE %%I GRANT ALL ON %%s TO %%I', role.name, type.name, role.name)),
  d.oid, 0
FROM pg_default_acl AS d
CROSS JOIN LATERAL (SELECT pg_get_userbyid(d.defaclrole) AS name) AS role
CROSS JOIN LATERAL (
  SELECT CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS' WHEN 'T' THEN 'TYPES'
    WHEN 'n' THEN 'SCHEMAS' END AS name
) AS type
CROSS JOIN LATERAL (
  SELECT
    string_agg(format('ALTER DEFAULT PRIVILEGES FOR ROLE %%I GRANT %%s ON %%s TO %%s%%s', role.name, a.privilege_type, type.name,
      who.name, CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' END), E';\n' ORDER BY a.place) AS all_of_them,
    string_agg(DISTINCT format('ALTER DEFAULT PRIVILEGES FOR ROLE %%I REVOKE ALL ON %%s FROM %%s', role.name, type.name, who.name),
      E';\n') AS none_of_them
  FROM aclexplode(d.defaclacl) WITH ORDINALITY AS a (grantor, grantee, privilege_type, is_grantable, place)
  CROSS JOIN LATERAL (
    SELECT CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END AS name
  ) AS who
) AS grants
WHERE d.defaclnamespace = 0
ORDER BY entry, place
