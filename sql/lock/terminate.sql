-- End one backend, and wait up to ten seconds until it is gone.
SELECT pg_terminate_backend(%(pid)s, 10000) AS ended
