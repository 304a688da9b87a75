-- Which role is a member of which, and who made it one. Since 16 each grant has options of its own, and its grantor counts.
SELECT 'membership' AS kind, format('of %%I in %%I by %%I', who.member, who.role, who.grantor) AS name, true AS replaces,
  format('GRANT %%I TO %%I', who.role, who.member) || CASE
    WHEN m.row ? 'set_option' THEN format(' WITH ADMIN %%s, INHERIT %%s, SET %%s GRANTED BY %%I',
      m.row ->> 'admin_option', m.row ->> 'inherit_option', m.row ->> 'set_option', who.grantor)
    WHEN (m.row ->> 'admin_option')::boolean THEN ' WITH ADMIN OPTION' ELSE '' END AS create_sql,
  format('REVOKE %%I FROM %%I', who.role, who.member)
    || CASE WHEN m.row ? 'set_option' THEN format(' GRANTED BY %%I', who.grantor) ELSE '' END AS drop_sql
FROM pg_auth_members AS a
CROSS JOIN LATERAL (SELECT to_jsonb(a) AS row) AS m
CROSS JOIN LATERAL (
  SELECT pg_get_userbyid(a.roleid) AS role, pg_get_userbyid(a.member) AS member, pg_get_userbyid(a.grantor) AS grantor
) AS who
WHERE who.member !~ '^cli_login_' AND who.role !~ '^cli_login_'
ORDER BY 2
