-- Whether pg_cron (or its stand-in) is there and may be read.
SELECT coalesce(has_table_privilege(to_regclass('cron.job'), 'SELECT'), false) AS there
