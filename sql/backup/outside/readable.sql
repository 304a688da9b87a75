-- Whether a table is there, and may be read.
SELECT coalesce(has_table_privilege(to_regclass(%(table)s), 'SELECT'), false) AS there
