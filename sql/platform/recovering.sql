-- Whether the server is still reading its log, and takes no writes yet.
SELECT pg_is_in_recovery() AS recovering
