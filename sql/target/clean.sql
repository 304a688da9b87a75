-- All of DISCARD ALL but the advisory locks, and allowed inside a transaction (PostgreSQL documentation, DISCARD) (one script).
-- A temporary login role of the platform becomes postgres again, as in connect.sql.
CLOSE ALL;
RESET SESSION AUTHORIZATION;
RESET ROLE;
RESET ALL;
SELECT set_config('role', rolname, false) FROM pg_roles
WHERE session_user LIKE 'cli\_login\_%' AND rolname = substr(session_user, 11) AND pg_has_role(session_user, oid, 'MEMBER');
DEALLOCATE ALL;
UNLISTEN *;
DISCARD PLANS;
DISCARD TEMP;
DISCARD SEQUENCES
