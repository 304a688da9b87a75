-- Take the deploy lock of this database for this session, if it is free. The key is ours: 'deploya1' as bytes.
SELECT pg_try_advisory_lock(x'6465706c6f796131'::bigint) AS taken
