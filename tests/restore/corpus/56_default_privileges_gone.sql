-- Why: default privileges of another role go with their schema, and only that role can give them again; all else comes back.
-- Wild: Prisma's reset drops the schema public.
-- Differs: default privileges:supabase_admin.api.r is missing
-- [before]
CREATE SCHEMA api;
CREATE TABLE api.a (id serial PRIMARY KEY, b text);
INSERT INTO api.a (b) VALUES ('x'), ('y');
-- [before as supabase_admin]
ALTER DEFAULT PRIVILEGES FOR ROLE supabase_admin IN SCHEMA api GRANT ALL ON TABLES TO postgres, anon;
-- [migration]
DROP SCHEMA api CASCADE;
