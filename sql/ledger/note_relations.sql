-- Which file each of the application's tables lies in, before the first migration runs: TRUNCATE and rewrites (ALTER
-- TABLE) make a new one.
INSERT INTO supabase_migrations.deploy_agent_relation (id, filenode)
SELECT c.oid, pg_relation_filenode(c.oid)
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = ANY (%(schemas)s::text[]) AND c.relkind = 'r'
ON CONFLICT (id) DO NOTHING
