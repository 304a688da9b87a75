-- What roles may do, and what is said of them. No role is made or dropped: nobody can read its password. Attributes that
-- the role of this session does not have itself are not its to change (PostgreSQL docs, "ALTER ROLE").
SELECT 'role' AS kind, quote_ident(r.rolname) || ': attributes' AS name, true AS replaces,
  format('ALTER ROLE %%I WITH ', r.rolname) || concat_ws(' ',
    CASE WHEN me.rolsuper THEN CASE WHEN r.rolsuper THEN 'SUPERUSER' ELSE 'NOSUPERUSER' END END,
    CASE WHEN me.rolsuper OR me.rolcreatedb THEN CASE WHEN r.rolcreatedb THEN 'CREATEDB' ELSE 'NOCREATEDB' END END,
    CASE WHEN me.rolsuper OR me.rolreplication AND me.hands_on THEN CASE WHEN r.rolreplication THEN 'REPLICATION' ELSE 'NOREPLICATION' END END,
    CASE WHEN me.rolsuper OR me.rolbypassrls AND me.hands_on THEN CASE WHEN r.rolbypassrls THEN 'BYPASSRLS' ELSE 'NOBYPASSRLS' END END,
    CASE WHEN r.rolcreaterole THEN 'CREATEROLE' ELSE 'NOCREATEROLE' END,
    CASE WHEN r.rolinherit THEN 'INHERIT' ELSE 'NOINHERIT' END,
    CASE WHEN r.rolcanlogin THEN 'LOGIN' ELSE 'NOLOGIN' END,
    format('CONNECTION LIMIT %%s VALID UNTIL %%L', r.rolconnlimit, CASE WHEN isfinite(r.rolvaliduntil)
      THEN to_char(r.rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US"+00"') ELSE 'infinity' END)) AS create_sql,
  '' AS drop_sql
FROM pg_roles AS r
CROSS JOIN (
  SELECT *, current_setting('server_version_num')::int >= 160000 AS hands_on FROM pg_roles WHERE rolname = current_user
) AS me
WHERE r.rolname !~ '^(pg_|cli_login_)'
UNION ALL
SELECT 'role', quote_ident(r.rolname) || ': comment', true,
  format('COMMENT ON ROLE %%I IS %%L', r.rolname, shobj_description(r.oid, 'pg_authid')),
  format('COMMENT ON ROLE %%I IS NULL', r.rolname)
FROM pg_roles AS r
WHERE r.rolname !~ '^(pg_|cli_login_)' AND shobj_description(r.oid, 'pg_authid') IS NOT NULL
ORDER BY 2
