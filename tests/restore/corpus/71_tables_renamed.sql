-- Why: tables and columns change names: swapped, chained, handed over to a new table, view, sequence or type, in partitions
--   and by inheritance, with views, policies, triggers, generated columns and foreign keys on them.
-- Wild: the first step of many a migration that replaces a table or column and leaves the old name to a view.
-- [before]
CREATE TABLE public.users (id int PRIMARY KEY, email text NOT NULL UNIQUE, name text, full_name text GENERATED ALWAYS AS (upper(name)) STORED);
CREATE TABLE public.posts (id int PRIMARY KEY, author int REFERENCES public.users, title text, body text);
CREATE TABLE public.left_one (id int, a text, b text);
CREATE TABLE public.right_one (id int, c text);
CREATE TABLE public.parent (id int, kept text);
CREATE TABLE public.child (more text) INHERITS (public.parent);
CREATE TABLE public.measured (id int, at date, value int) PARTITION BY RANGE (at);
CREATE TABLE public.measured_2025 PARTITION OF public.measured FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
CREATE TABLE public."Odd; ""name""" ("a b" int, "c%d" text);
CREATE TABLE public.taken (id int);
CREATE TYPE public.pair AS (one int, two int);
CREATE TABLE public.of_pair OF public.pair;
CREATE INDEX posts_title ON public.posts (title) WHERE body IS NOT NULL;
CREATE VIEW public.authors AS SELECT u.id, u.email, p.title FROM public.users AS u JOIN public.posts AS p ON p.author = u.id;
CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.title := NEW.title; RETURN NEW; END $$;
CREATE TRIGGER touched BEFORE UPDATE OF title ON public.posts FOR EACH ROW WHEN (NEW.body <> '') EXECUTE FUNCTION public.touch();
ALTER TABLE public.users ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON public.users FOR SELECT TO authenticated USING (email = current_user);
GRANT SELECT (email) ON public.users TO anon;
COMMENT ON COLUMN public.users.email IS 'where';
INSERT INTO public.users (id, email, name) SELECT n, n || '@example.com', 'user ' || n FROM generate_series(1, 20) AS n;
INSERT INTO public.posts SELECT n, n, 'title ' || n, 'body' FROM generate_series(1, 20) AS n;
INSERT INTO public.left_one VALUES (1, 'a', 'b');
INSERT INTO public.right_one VALUES (2, 'c');
INSERT INTO public.child VALUES (1, 'kept', 'more');
INSERT INTO public.measured VALUES (1, '2025-05-05', 3);
INSERT INTO public."Odd; ""name""" VALUES (1, 'x');
INSERT INTO public.taken VALUES (1);
ALTER PUBLICATION supabase_realtime ADD TABLE public.posts (id, title);
-- [migration]
ALTER TABLE public.users RENAME TO people;
ALTER TABLE public.people RENAME COLUMN email TO address;
ALTER TABLE public.people RENAME COLUMN name TO email;
CREATE VIEW public.users AS SELECT id, address AS email, email AS name FROM public.people;
ALTER TABLE public.posts RENAME COLUMN title TO heading;
ALTER TABLE public.posts ADD COLUMN title text DEFAULT 'new';
ALTER TABLE public.left_one RENAME TO for_now;
ALTER TABLE public.right_one RENAME TO left_one;
ALTER TABLE public.for_now RENAME TO right_one;
ALTER TABLE public.right_one RENAME COLUMN a TO for_now;
ALTER TABLE public.right_one RENAME COLUMN b TO a;
ALTER TABLE public.right_one RENAME COLUMN for_now TO b;
-- [migration]
ALTER TABLE public.parent RENAME COLUMN kept TO held;
ALTER TABLE public.child RENAME COLUMN more TO kept;
ALTER TABLE public.measured RENAME COLUMN value TO reading;
ALTER TABLE public.measured_2025 RENAME TO measured_old;
ALTER TABLE public.measured RENAME TO readings;
ALTER TABLE public."Odd; ""name""" RENAME TO plain;
ALTER TABLE public.plain RENAME COLUMN "c%d" TO cd;
ALTER TABLE public.taken RENAME TO was_taken;
CREATE TYPE public.taken AS ENUM ('a');
ALTER TYPE public.pair RENAME ATTRIBUTE two TO second CASCADE;
ALTER TABLE public.of_pair RENAME TO of_two;
CREATE SEQUENCE public.of_pair;
UPDATE public.people SET email = 'changed' WHERE id = 3;
