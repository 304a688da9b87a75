-- One of its batches.
INSERT INTO supabase_migrations.deploy_agent_restore (restore, number, name, before, listing, after)
VALUES (%(restore)s, %(number)s, %(name)s, %(before)s, %(listing)s, %(after)s)
