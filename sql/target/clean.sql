-- All of DISCARD ALL but the advisory locks, and allowed inside a transaction (PostgreSQL documentation, DISCARD) (one script).
CLOSE ALL;
RESET SESSION AUTHORIZATION;
RESET ROLE;
RESET ALL;
DEALLOCATE ALL;
UNLISTEN *;
DISCARD PLANS;
DISCARD TEMP;
DISCARD SEQUENCES
