-- A lock that only a session of this very database can see held here. The key is random.
SELECT pg_try_advisory_lock(%(key)s) AS taken
