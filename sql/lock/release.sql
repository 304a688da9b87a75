-- Give the deploy lock back before the session ends, which the server only notices a moment later.
SELECT pg_advisory_unlock(x'6465706c6f796131'::bigint)
