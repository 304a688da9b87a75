-- Begins what is sent over the Management API: alone, in time, and on the history that was planned with.
-- The key is that of sql/lock/take.sql; it is let go with the transaction.
BEGIN;
SET LOCAL statement_timeout = %(timeout_ms)s;
SET LOCAL lock_timeout = %(lock_ms)s;
SET LOCAL client_min_messages = notice;
DO $deploy_agent$
BEGIN
  IF NOT pg_try_advisory_xact_lock(x'6465706c6f796131'::bigint) THEN
    RAISE EXCEPTION USING ERRCODE = 'DA010', MESSAGE = 'another deploy or restore is running on this database';
  END IF;
  IF extract(epoch FROM clock_timestamp()) > %(until)s::numeric THEN
    RAISE EXCEPTION USING ERRCODE = 'DA012', MESSAGE = 'the request arrived too late, when the agent no longer waited for it';
  END IF;
END
$deploy_agent$
