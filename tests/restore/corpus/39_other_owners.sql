-- Why: objects in public that belong to supabase_admin or another role we cannot act for must stay as they are, with what
--   hangs on them, while ours are made again.
-- Wild: tables made in the dashboard by supabase_admin; PostGIS' spatial_ref_sys.
-- [before as supabase_admin]
CREATE TABLE public.theirs (id int PRIMARY KEY, body text);
INSERT INTO public.theirs VALUES (1, 'x'), (2, 'y');
CREATE INDEX theirs_body ON public.theirs (body);
CREATE FUNCTION public.their_function() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TYPE public.their_type AS ENUM ('a', 'b');
CREATE SEQUENCE public.their_sequence;
ALTER TABLE public.theirs ENABLE ROW LEVEL SECURITY;
CREATE POLICY their_policy ON public.theirs USING (true);
COMMENT ON TABLE public.theirs IS 'not ours';
GRANT REFERENCES ON public.theirs TO postgres;
-- [before]
CREATE TABLE public.ours (id int PRIMARY KEY REFERENCES public.theirs, t public.their_type DEFAULT 'a', n int DEFAULT public.their_function(), s bigint DEFAULT nextval('public.their_sequence'));
INSERT INTO public.ours (id) VALUES (1), (2);
CREATE VIEW public.joined AS SELECT o.id, t.body FROM public.ours o JOIN public.theirs t USING (id);
-- [migration]
DROP TABLE public.ours CASCADE;
-- [migration]
CREATE TABLE public.ours (id text);
CREATE VIEW public.peek AS SELECT * FROM public.theirs;
