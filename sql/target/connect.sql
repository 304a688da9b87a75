-- The first words of every session: hear NOTICEs whatever the role's setting is, and which backend answers.
SET client_min_messages = notice;
SELECT pg_backend_pid() AS pid;
