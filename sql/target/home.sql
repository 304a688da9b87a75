-- A temporary login role of the platform (cli_login_postgres inherits nothing) becomes the role it is for; others stay.
SELECT set_config('role', rolname, false) FROM pg_roles
WHERE session_user LIKE 'cli\_login\_%' AND rolname = substr(session_user, 11) AND pg_has_role(session_user, oid, 'MEMBER')
