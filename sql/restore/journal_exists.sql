-- Whether the journal of a restore in several transactions is there. Asked of the catalog, which needs no right on the schema.
SELECT EXISTS (
  SELECT FROM pg_class AS c
  JOIN pg_namespace AS n ON n.oid = c.relnamespace
  WHERE n.nspname = 'supabase_migrations' AND c.relname = 'deploy_agent_restore'
) AS there
