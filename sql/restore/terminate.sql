-- End a session and wait, at most 10 seconds, until it is gone.
SELECT pg_terminate_backend(%(pid)s, 10000) AS gone
