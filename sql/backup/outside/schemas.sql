-- What an application schema says of itself: owner, comment, and who may do what in it, in the order in which that was
-- granted. The schema itself stays.
SELECT 'schema owner' AS kind, n.nspname AS name, false AS tied,
  format('ALTER SCHEMA %%I OWNER TO %%I', n.nspname, pg_get_userbyid(n.nspowner)) AS create_sql,
  '' AS drop_sql, 0::bigint AS place
FROM pg_namespace AS n
WHERE n.nspname = ANY (%(schemas)s::text[])
UNION ALL
SELECT 'schema comment', n.nspname, false,
  format('COMMENT ON SCHEMA %%I IS %%L', n.nspname, obj_description(n.oid, 'pg_namespace')),
  format('COMMENT ON SCHEMA %%I IS NULL', n.nspname), 0
FROM pg_namespace AS n
WHERE n.nspname = ANY (%(schemas)s::text[]) AND obj_description(n.oid, 'pg_namespace') IS NOT NULL
UNION ALL
SELECT 'schema privileges', format('%%I for %%s%%s', n.nspname, who.name, CASE WHEN x.is_grantable THEN ' (grantable)' END),
  false,
  format('GRANT %%s ON SCHEMA %%I TO %%s%%s', string_agg(DISTINCT x.privilege_type, ', ' ORDER BY x.privilege_type),
    n.nspname, who.name, CASE WHEN x.is_grantable THEN ' WITH GRANT OPTION' END),
  format('REVOKE ALL ON SCHEMA %%I FROM %%s', n.nspname, who.name), min(x.place)
FROM pg_namespace AS n
CROSS JOIN LATERAL aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) WITH ORDINALITY
  AS x (grantor, grantee, privilege_type, is_grantable, place)
CROSS JOIN LATERAL (
  SELECT CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(x.grantee)) END AS name
) AS who
WHERE n.nspname = ANY (%(schemas)s::text[]) AND x.grantee <> n.nspowner
GROUP BY n.nspname, who.name, x.is_grantable
ORDER BY 1, place, 2
