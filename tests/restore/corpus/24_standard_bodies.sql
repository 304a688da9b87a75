-- Why: functions with bodies by the SQL standard depend on what they name, also on tables that come later in a dump, and
--   functions that are called in indexes, checks, defaults, generated columns and policies before their tables have rows.
-- Wild: newer projects; functions in checks are common.
-- [before]
CREATE TABLE public.things (id int PRIMARY KEY, name text NOT NULL, parent int);
CREATE FUNCTION public.count_things() RETURNS bigint LANGUAGE sql STABLE BEGIN ATOMIC SELECT count(*) FROM public.things; SELECT count(*) FROM public.things WHERE id > 0; END;
CREATE FUNCTION public.name_of(t public.things) RETURNS text LANGUAGE sql IMMUTABLE RETURN t.name || ' #' || t.id;
CREATE FUNCTION public.tag(t text) RETURNS text LANGUAGE sql IMMUTABLE RETURN '#' || t;
CREATE PROCEDURE public.add_thing(a int, INOUT b text DEFAULT 'b') LANGUAGE sql BEGIN ATOMIC INSERT INTO public.things VALUES (a, b) RETURNING name; END;
CREATE FUNCTION public.next_id() RETURNS int LANGUAGE sql VOLATILE AS 'SELECT coalesce(max(id), 0) + 1 FROM things' SET search_path = public;
ALTER TABLE public.things ALTER COLUMN id SET DEFAULT public.next_id();
INSERT INTO public.things (name) VALUES ('a'), ('b'), ('c');
UPDATE public.things SET parent = 3 WHERE id = 1;
ALTER TABLE public.things ADD CONSTRAINT known CHECK (public.tag(name) <> '');
CREATE INDEX things_name ON public.things (public.tag(name)) WHERE public.tag(name) <> '';
CREATE TABLE public.other (n bigint DEFAULT public.count_things(), t text CHECK (t <> current_setting('no.such', true)));
INSERT INTO public.other VALUES (1, 'x');
ALTER TABLE public.things ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON public.things USING (public.name_of(things) LIKE 'a%' AND public.count_things() > 0);
-- [migration]
DROP FUNCTION public.count_things() CASCADE;
UPDATE public.things SET name = name || '!';
-- [migration]
ALTER TABLE public.things DROP CONSTRAINT known, ADD COLUMN new int;
DELETE FROM public.things WHERE id = 3;
DROP PROCEDURE public.add_thing(int, text);
