-- Scheduled jobs of this database, by name where they have one (pg_cron: cron.schedule, cron.alter_job, cron.unschedule).
SELECT 'cron job' AS kind, coalesce(j.jobname, 'without name: ' || j.schedule || ' ' || j.command) AS name, false AS tied,
  CASE WHEN j.active THEN format('SELECT %s', call.text)
    ELSE format('SELECT cron.alter_job(%s, active => false)', call.text) END AS create_sql,
  format('SELECT cron.unschedule(%s)', j.jobid) AS drop_sql
FROM cron.job AS j
CROSS JOIN LATERAL (
  SELECT CASE WHEN j.jobname IS NULL THEN format('cron.schedule(%L, %L)', j.schedule, j.command)
    ELSE format('cron.schedule(%L, %L, %L)', j.jobname, j.schedule, j.command) END AS text
) AS call
WHERE j.database = current_database() AND j.username = current_user
ORDER BY j.jobid
