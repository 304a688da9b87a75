-- Why: privileges on columns, with grant option, on types, sequences and functions; an owner
--   who has given away its own privileges; empty privilege lists.
-- Wild: column privileges guard profile fields.
-- [before as supabase_admin]
DO $$ BEGIN CREATE ROLE proof_reader NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
GRANT proof_reader TO postgres WITH ADMIN TRUE, SET TRUE, INHERIT TRUE;
-- [before]
CREATE TABLE public.people (id int PRIMARY KEY, name text, mail text);
REVOKE ALL ON public.people FROM anon, authenticated;
GRANT SELECT (id, name), UPDATE (name) ON public.people TO anon, authenticated;
GRANT SELECT ON public.people TO proof_reader WITH GRANT OPTION;
GRANT INSERT (mail) ON public.people TO proof_reader WITH GRANT OPTION;
CREATE TABLE public.bare (id serial);
REVOKE ALL ON public.bare FROM PUBLIC, postgres, anon, authenticated, service_role;
REVOKE ALL ON SEQUENCE public.bare_id_seq FROM anon;
CREATE TYPE public.kind AS ENUM ('a');
REVOKE USAGE ON TYPE public.kind FROM PUBLIC;
CREATE VIEW public.names AS SELECT name FROM public.people;
GRANT SELECT (name) ON public.names TO dashboard_user;
CREATE SCHEMA api;
GRANT USAGE ON SCHEMA api TO anon, authenticated WITH GRANT OPTION;
REVOKE CREATE ON SCHEMA api FROM postgres;
-- [migration]
REVOKE SELECT ON public.people FROM proof_reader CASCADE;
GRANT ALL ON public.people TO anon WITH GRANT OPTION;
GRANT ALL ON public.bare TO postgres;
REVOKE SELECT (id) ON public.people FROM authenticated;
-- [migration]
GRANT USAGE ON TYPE public.kind TO PUBLIC;
REVOKE ALL ON SCHEMA api FROM anon;
GRANT CREATE ON SCHEMA api TO anon;
DROP VIEW public.names;
GRANT USAGE ON SCHEMA public TO proof_reader;
