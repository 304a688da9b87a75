-- In this transaction no event trigger of the application fires, unless it always does: what the agent makes for itself, and
-- takes away, is none of its business. A role that may not set this cannot restore either, which preflight says.
DO $quiet$
BEGIN
  PERFORM pg_catalog.set_config('session_replication_role', 'replica', true);
EXCEPTION WHEN insufficient_privilege THEN NULL;
END
$quiet$
