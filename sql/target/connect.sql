-- The first words of every session: hear NOTICEs whatever the role's setting is, and who and what answers.
SET client_min_messages = notice;
SELECT pg_backend_pid() AS pid, current_setting('server_version_num')::int AS version;
