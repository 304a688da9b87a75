-- Tables that were loaded ahead of a restore that never moved them to their place.
SELECT format('DROP TABLE IF EXISTS supabase_migrations.%I CASCADE', c.relname) AS statement
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = 'supabase_migrations' AND c.relname ~ '^deploy_agent_ahead_[0-9]+$' AND c.relkind = 'r'
ORDER BY c.oid
