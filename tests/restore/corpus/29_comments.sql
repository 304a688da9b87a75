-- Why: a comment on every kind of object, with quotes, backslashes, line breaks, percent signs, braces and other scripts.
-- Wild: PostgREST and pg_graphql read them as settings (@graphql, @omit).
-- [before]
CREATE TABLE public.t (id int CONSTRAINT pk PRIMARY KEY, b text CHECK (b <> ''), c int);
CREATE INDEX i ON public.t (b);
CREATE VIEW public.v AS SELECT * FROM public.t;
CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER tr BEFORE INSERT ON public.t FOR EACH ROW EXECUTE FUNCTION public.f();
CREATE SEQUENCE public.s;
CREATE TYPE public.e AS ENUM ('x');
CREATE SCHEMA app;
COMMENT ON SCHEMA app IS E'@graphql({"inflect_names": true})\nline 2';
COMMENT ON TABLE public.t IS E'it''s %s %% {x} {{y}} \\ back $$ ; -- no comment';
COMMENT ON COLUMN public.t.b IS E'\t tab "and" quotes';
COMMENT ON COLUMN public.v.b IS 'ünï 🎉 中文';
COMMENT ON INDEX public.i IS 'i';
COMMENT ON CONSTRAINT pk ON public.t IS 'key';
COMMENT ON CONSTRAINT t_b_check ON public.t IS 'check';
COMMENT ON VIEW public.v IS '/* v */';
COMMENT ON FUNCTION public.f() IS '@deprecated';
COMMENT ON TRIGGER tr ON public.t IS 'tr';
COMMENT ON SEQUENCE public.s IS 's';
COMMENT ON TYPE public.e IS 'e';
-- [before as supabase_admin]
COMMENT ON SCHEMA public IS 'ours';
-- [migration]
COMMENT ON TABLE public.t IS NULL;
COMMENT ON COLUMN public.t.c IS 'new';
COMMENT ON INDEX public.i IS 'other';
COMMENT ON TYPE public.e IS NULL;
COMMENT ON SCHEMA app IS NULL;
-- [migration]
DROP VIEW public.v;
COMMENT ON CONSTRAINT pk ON public.t IS '';
DROP TRIGGER tr ON public.t;
COMMENT ON SEQUENCE public.s IS 'changed';
