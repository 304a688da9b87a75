-- The batches that have not committed, of those that there are.
SELECT number, name, before, listing, after, (SELECT count(*) FROM supabase_migrations.deploy_agent_restore) AS total
FROM supabase_migrations.deploy_agent_restore
WHERE NOT done
ORDER BY number
