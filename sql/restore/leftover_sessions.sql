-- Sessions of the agent that still do something here: they would hold the restore up, or write into it.
SELECT pid, application_name, state, left(query, 80) AS query
FROM pg_stat_activity
WHERE datname = current_database()
  AND application_name LIKE 'deploy-agent/%'
  AND state IS DISTINCT FROM 'idle'
  AND pid <> pg_backend_pid()
  AND pg_has_role(usesysid, 'USAGE')
