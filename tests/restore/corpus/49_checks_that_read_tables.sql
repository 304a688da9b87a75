-- Why: checks of tables and domains whose functions read tables, also their own: while rows are loaded they do not hold.
-- Wild: "this id must exist there" and "at most N rows", both common.
-- [before]
CREATE TABLE public.things (id int PRIMARY KEY, parent int, amount int);
CREATE FUNCTION public.known(n int) RETURNS boolean LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN n IS NULL OR EXISTS (SELECT FROM public.things WHERE id = n); END $$;
INSERT INTO public.things (id) VALUES (1), (2), (3);
UPDATE public.things SET parent = 4 - id;
ALTER TABLE public.things ADD CONSTRAINT known CHECK (public.known(parent));
COMMENT ON CONSTRAINT known ON public.things IS 'it exists';
CREATE TABLE public.a_first (id int PRIMARY KEY, thing int CHECK (public.known(thing)));
INSERT INTO public.a_first VALUES (1, 1), (2, NULL);
CREATE DOMAIN public.thing_id AS int CHECK (public.known(VALUE));
CREATE TABLE public.a_second (thing public.thing_id);
INSERT INTO public.a_second VALUES (3);
-- [migration]
ALTER TABLE public.things DROP CONSTRAINT known;
DELETE FROM public.things WHERE id = 3;
