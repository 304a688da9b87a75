-- Take an executor's lock for this session, if it is free: as long as it is held, its worker lives.
SELECT pg_try_advisory_lock(%(key)s) AS taken
