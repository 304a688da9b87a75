-- Why: privileges that another role has granted on: pg_restore becomes that role by SET SESSION AUTHORIZATION, which only a
--   superuser may; postgres is a member of the role.
-- Wild: no; teams with roles of their own.
-- [before as supabase_admin]
DO $$ BEGIN CREATE ROLE proof_reader NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
GRANT proof_reader TO postgres WITH ADMIN TRUE, SET TRUE, INHERIT TRUE;
-- [before]
CREATE TABLE public.people (id int PRIMARY KEY, name text, mail text);
GRANT SELECT ON public.people TO proof_reader WITH GRANT OPTION;
GRANT INSERT (mail) ON public.people TO proof_reader WITH GRANT OPTION;
SET ROLE proof_reader;
GRANT SELECT ON public.people TO dashboard_user;
GRANT INSERT (mail) ON public.people TO anon WITH GRANT OPTION;
RESET ROLE;
-- [migration]
REVOKE SELECT ON public.people FROM proof_reader CASCADE;
