-- Why: objects of the application that belong to another role of which postgres is a member: they come back with their owner.
-- Wild: supabase_auth_admin owns hooks; own roles of bigger teams.
-- [before as supabase_admin]
DO $$ BEGIN CREATE ROLE proof_team NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
GRANT proof_team TO postgres WITH INHERIT TRUE, SET TRUE;
GRANT USAGE, CREATE ON SCHEMA public TO proof_team;
-- [before]
CREATE SCHEMA team AUTHORIZATION proof_team;
CREATE TABLE public.shared (id serial PRIMARY KEY, body text);
ALTER TABLE public.shared OWNER TO proof_team;
CREATE FUNCTION public.team_hook(event jsonb) RETURNS jsonb LANGUAGE sql SECURITY DEFINER AS 'SELECT event';
ALTER FUNCTION public.team_hook(jsonb) OWNER TO proof_team;
CREATE TYPE public.team_kind AS ENUM ('a');
ALTER TYPE public.team_kind OWNER TO proof_team;
SET ROLE proof_team;
CREATE TABLE team.things (id int PRIMARY KEY, kind public.team_kind);
CREATE VIEW team.names AS SELECT body FROM public.shared;
RESET ROLE;
INSERT INTO team.things VALUES (1, 'a');
INSERT INTO public.shared (body) VALUES ('x');
-- [migration]
ALTER TABLE public.shared OWNER TO postgres;
ALTER FUNCTION public.team_hook(jsonb) OWNER TO postgres;
DROP VIEW team.names;
-- [migration]
ALTER SCHEMA team OWNER TO postgres;
DELETE FROM team.things;
DROP TYPE public.team_kind CASCADE;
