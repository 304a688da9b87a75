-- What waits: each large object's number of pieces, and a digest of its content, as large_objects/digests has it.
SELECT oid::text AS name, count(*) AS pieces, md5(string_agg(md5(content), '' ORDER BY at)) AS content
FROM supabase_migrations.deploy_agent_large
GROUP BY oid
