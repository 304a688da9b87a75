-- Forget the batches of another restore, which this one replaces.
DELETE FROM supabase_migrations.deploy_agent_restore WHERE name <> ALL (%(names)s::text[])
