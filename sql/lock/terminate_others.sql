-- End all other sessions of this deploy, and wait for each up to five seconds.
SELECT pid, pg_terminate_backend(pid, 5000) AS ended
FROM pg_stat_activity
WHERE application_name = current_setting('application_name') AND datname = current_database() AND pid <> pg_backend_pid()
