-- The last words of a batch: it commits with this (one script). Fails if somebody else has taken the journal away.
DO $done$
BEGIN
  UPDATE supabase_migrations.deploy_agent_restore SET done = true WHERE number = %(number)s AND restore = %(restore)s AND NOT done;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'another agent has finished or replaced this restore' USING ERRCODE = 'DA004';
  END IF;
END
$done$;
