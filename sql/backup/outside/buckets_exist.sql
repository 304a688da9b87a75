-- Whether Storage is there, and its buckets may be read.
SELECT coalesce(has_table_privilege(to_regclass('storage.buckets'), 'SELECT'), false) AS there
