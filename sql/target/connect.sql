-- The first words of every session: hear NOTICEs whatever the role's setting is, and which backend answers.
-- Between them a temporary login role of the platform becomes whom it is for: cli_login_postgres inherits nothing.
SET client_min_messages = notice;
SELECT set_config('role', rolname, false) FROM pg_roles
WHERE session_user LIKE 'cli\_login\_%' AND rolname = substr(session_user, 11) AND pg_has_role(session_user, oid, 'MEMBER');
SELECT pg_backend_pid() AS pid;
