-- With an empty search path every name that Postgres writes is qualified; the old path comes back, to be set again.
SELECT current_setting('search_path') AS old, set_config('search_path', %(path)s, false) AS new
