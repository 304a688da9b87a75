-- End one backend, and wait up to five seconds until it is gone.
SELECT pg_terminate_backend(%(pid)s, 5000) AS ended
