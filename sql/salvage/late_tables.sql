-- The tables of which a restore has noted rows that were written after the salvage.
SELECT salvage, deploy_id, backup_id, (array_agg(until ORDER BY number DESC))[1] AS until, name, columns,
  count(*) FILTER (WHERE kind = 'a') AS application, count(*) FILTER (WHERE kind = 'u') AS unclear
FROM supabase_migrations.deploy_agent_late
GROUP BY salvage, deploy_id, backup_id, name, columns
ORDER BY salvage, min(number)
