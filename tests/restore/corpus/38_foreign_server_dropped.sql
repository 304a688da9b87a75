-- Why: the migration drops or alters the server itself, which is in no schema and so in no archive.
-- Wild: Supabase Wrappers.
-- [before as supabase_admin]
CREATE EXTENSION postgres_fdw WITH SCHEMA extensions;
GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw TO postgres;
-- [before]
CREATE SERVER other FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '127.0.0.1');
CREATE SERVER gone FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'gone');
CREATE USER MAPPING FOR postgres SERVER other OPTIONS (user 'me');
CREATE FOREIGN TABLE public.t (id int) SERVER gone;
-- [migration]
ALTER SERVER other OPTIONS (SET host 'elsewhere');
DROP USER MAPPING FOR postgres SERVER other;
DROP SERVER gone CASCADE;
CREATE SERVER fresh FOREIGN DATA WRAPPER postgres_fdw;
