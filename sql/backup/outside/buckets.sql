-- Storage's buckets, which migrations make and alter: rows of Storage's own table. One that holds files is not dropped,
-- since storage.objects refers to it; no key is checked in a session that is a replica, as a restore's is (restore/begin).
SELECT 'bucket' AS kind, quote_ident(b.id) AS name, true AS replaces,
  format('INSERT INTO storage.buckets (%%1$s) SELECT %%1$s FROM pg_catalog.jsonb_populate_record(NULL::storage.buckets, %%2$L)'
      ' ON CONFLICT (id) DO UPDATE SET (%%1$s) = ROW(%%3$s)', c.names, to_jsonb(b), c.new) AS create_sql,
  format('SET LOCAL session_replication_role = origin; DELETE FROM storage.buckets WHERE id = %%L; SET LOCAL session_replication_role = replica',
    b.id) AS drop_sql
FROM storage.buckets AS b
CROSS JOIN (
  SELECT string_agg(quote_ident(a.attname), ', ' ORDER BY a.attnum) AS names,
    string_agg('EXCLUDED.' || quote_ident(a.attname), ', ' ORDER BY a.attnum) AS new
  FROM pg_attribute AS a
  WHERE a.attrelid = 'storage.buckets'::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
) AS c
ORDER BY b.id
