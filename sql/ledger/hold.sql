-- Hold the fence open until this transaction ends, or fail with our own SQLSTATE: the deploy is being undone.
DO $hold$
BEGIN
  PERFORM FROM supabase_migrations.deploy_agent_fence WHERE deploy_id = %(deploy_id)s AND state = 'open' FOR SHARE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'this deploy is being undone by another worker; nothing more was written' USING ERRCODE = 'DA001';
  END IF;
END
$hold$
