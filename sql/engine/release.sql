-- Give an executor's lock back.
SELECT pg_advisory_unlock(%(key)s) AS released
