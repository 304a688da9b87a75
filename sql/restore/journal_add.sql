-- The last words of a batch: it commits with this row (one script).
INSERT INTO supabase_migrations.deploy_agent_restore (name) VALUES (%(name)s);
