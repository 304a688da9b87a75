-- Why: a table that is made again and loaded, whose owner has taken all of its own rights away; rights come after rows.
-- Wild: no.
-- [before]
CREATE TABLE public.bare (id serial);
REVOKE ALL ON public.bare FROM PUBLIC, postgres, anon, authenticated, service_role;
CREATE TABLE public.notes (id int PRIMARY KEY, body text);
INSERT INTO public.notes VALUES (1, 'one');
-- [migration]
DROP TABLE public.bare;
DROP TABLE public.notes;
