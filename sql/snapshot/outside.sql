-- What is in no schema and so in no backup: roles, settings, the database's own properties, user mappings,
-- subscriptions; and which file a table of another schema lies in: TRUNCATE gives it a new one.
-- Left out are the roles that the Supabase CLI makes for its logins.
SELECT identity, md5(definition) AS digest FROM (
SELECT 'role:' || quote_ident(r.rolname) AS identity,
  concat_ws('|', r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcreatedb, r.rolcanlogin, r.rolreplication, r.rolbypassrls,
    r.rolconnlimit, extract(epoch FROM coalesce(r.rolvaliduntil, 'infinity')), shobj_description(r.oid, 'pg_authid')) AS definition
FROM pg_roles AS r
WHERE r.rolname !~ '^(pg_|cli_login_)'
UNION ALL
SELECT 'membership:' || quote_ident(pg_get_userbyid(m.member)) || ' in ' || quote_ident(pg_get_userbyid(m.roleid))
    || ' by ' || quote_ident(pg_get_userbyid(m.grantor)),
  to_jsonb(m) - '{oid,roleid,member,grantor}'::text[] #>> '{}'
FROM pg_auth_members AS m
WHERE pg_get_userbyid(m.member) !~ '^cli_login_' AND pg_get_userbyid(m.roleid) !~ '^cli_login_'
UNION ALL
SELECT 'settings:' || CASE WHEN s.setrole = 0 THEN 'all roles' ELSE quote_ident(pg_get_userbyid(s.setrole)) END
    || CASE WHEN s.setdatabase = 0 THEN '' ELSE ' in this database' END, array_to_string(s.setconfig, '|')
FROM pg_db_role_setting AS s
WHERE s.setdatabase = 0 OR s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
UNION ALL
SELECT 'database:' || quote_ident(d.datname), concat_ws('|', pg_get_userbyid(d.datdba), d.datconnlimit, d.datallowconn,
    (SELECT string_agg(x::text, ',' ORDER BY x::text) FROM unnest(coalesce(d.datacl, acldefault('d', d.datdba))) AS x),
    shobj_description(d.oid, 'pg_database'))
FROM pg_database AS d
WHERE d.datname = current_database()
UNION ALL
SELECT 'user mapping:' || quote_ident(u.usename) || ' on ' || quote_ident(u.srvname), array_to_string(u.umoptions, '|')
FROM pg_user_mappings AS u
UNION ALL
SELECT 'subscription:' || quote_ident(s.subname), concat_ws('|', pg_get_userbyid(s.subowner), s.subenabled, s.subpublications)
FROM pg_subscription AS s
WHERE s.subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())
UNION ALL
SELECT 'file of table:' || format('%%I.%%I', n.nspname, c.relname), pg_relation_filenode(c.oid)::text
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname = ANY (%(others)s::text[])
) AS fact (identity, definition)
