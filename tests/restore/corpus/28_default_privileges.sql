-- Why: default privileges of supabase_admin (not ours to change) and of postgres, per schema and for all, to PUBLIC, with
--   grant option, for tables, sequences, functions, types and schemas; they apply to what a restore makes.
-- Wild: in every project; all 26 in-place restores failed on supabase_admin's.
-- Defect (rung 3): an empty default privilege is no definition
-- [before]
CREATE SCHEMA api;
ALTER DEFAULT PRIVILEGES IN SCHEMA api GRANT SELECT ON TABLES TO anon;
ALTER DEFAULT PRIVILEGES IN SCHEMA api GRANT USAGE ON SEQUENCES TO authenticated WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO service_role;
ALTER DEFAULT PRIVILEGES REVOKE USAGE ON TYPES FROM PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO dashboard_user;
ALTER DEFAULT PRIVILEGES IN SCHEMA public REVOKE ALL ON TABLES FROM anon;
CREATE TABLE api.a (id serial PRIMARY KEY, b text);
CREATE FUNCTION api.f() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TYPE api.t AS ENUM ('x');
CREATE TABLE public.b (id int);
GRANT SELECT ON public.b TO anon;
INSERT INTO api.a (b) VALUES ('x'), ('y');
-- [before as supabase_admin]
ALTER DEFAULT PRIVILEGES FOR ROLE supabase_admin IN SCHEMA api GRANT ALL ON TABLES TO postgres, anon;
-- [migration]
ALTER DEFAULT PRIVILEGES IN SCHEMA api REVOKE SELECT ON TABLES FROM anon;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT EXECUTE ON FUNCTIONS TO PUBLIC;
ALTER DEFAULT PRIVILEGES GRANT ALL ON TYPES TO anon WITH GRANT OPTION;
CREATE TABLE api.c (id int);
-- [migration]
ALTER DEFAULT PRIVILEGES REVOKE SELECT ON TABLES FROM dashboard_user;
ALTER DEFAULT PRIVILEGES REVOKE ALL ON SEQUENCES FROM postgres;
DROP TABLE api.a;
DROP TYPE api.t;
