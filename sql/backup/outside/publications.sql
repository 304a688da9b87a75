-- Publications, and what they publish of a row; their tables are in publication_tables.
SELECT 'publication' AS kind, p.pubname AS name, false AS tied,
  format('CREATE PUBLICATION %%I%%s', p.pubname, CASE WHEN p.puballtables THEN ' FOR ALL TABLES' END) AS create_sql,
  format('DROP PUBLICATION IF EXISTS %%I', p.pubname) AS drop_sql
FROM pg_publication AS p
UNION ALL
SELECT 'publication options', p.pubname, false,
  format('ALTER PUBLICATION %%I SET (publish = %%L, publish_via_partition_root = %%L)', p.pubname,
    concat_ws(', ', CASE WHEN p.pubinsert THEN 'insert' END, CASE WHEN p.pubupdate THEN 'update' END,
      CASE WHEN p.pubdelete THEN 'delete' END, CASE WHEN p.pubtruncate THEN 'truncate' END), p.pubviaroot::text),
  ''
FROM pg_publication AS p
ORDER BY 1, 2
