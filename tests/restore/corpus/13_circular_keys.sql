-- Why: foreign keys in a circle, to the table itself, deferred, of several columns, with actions on some columns.
-- Wild: default address of a user, folders, latest version of a document.
-- [before]
CREATE TABLE public.a (id int PRIMARY KEY, b int);
CREATE TABLE public.b (id int PRIMARY KEY, c int NOT NULL);
CREATE TABLE public.c (id int PRIMARY KEY, a int, parent int REFERENCES public.c ON DELETE SET NULL);
INSERT INTO public.a SELECT n, n FROM generate_series(1, 20) n;
INSERT INTO public.b SELECT n, n FROM generate_series(1, 20) n;
INSERT INTO public.c SELECT n, 21 - n, nullif(n + 1, 21) FROM generate_series(1, 20) n ORDER BY random();
ALTER TABLE public.a ADD CONSTRAINT a_b FOREIGN KEY (b) REFERENCES public.b DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE public.b ADD CONSTRAINT b_c FOREIGN KEY (c) REFERENCES public.c ON UPDATE CASCADE ON DELETE RESTRICT DEFERRABLE;
ALTER TABLE public.c ADD CONSTRAINT c_a FOREIGN KEY (a) REFERENCES public.a;
CREATE TABLE public.pairs (x int, y int, z int, UNIQUE (y, x), FOREIGN KEY (z, x) REFERENCES public.pairs (y, x) MATCH FULL);
CREATE TABLE public.kids (x int, y int, FOREIGN KEY (y, x) REFERENCES public.pairs (y, x) ON DELETE SET NULL (x));
INSERT INTO public.pairs VALUES (1, 1, 1), (1, 2, 1), (NULL, NULL, NULL);
INSERT INTO public.kids VALUES (1, 2), (NULL, 5);
-- [migration]
ALTER TABLE public.c DROP CONSTRAINT c_a;
DELETE FROM public.a WHERE id % 2 = 0;
ALTER TABLE public.a ALTER CONSTRAINT a_b NOT DEFERRABLE;
-- [migration]
TRUNCATE public.a, public.b, public.c;
DROP TABLE public.pairs CASCADE;
ALTER TABLE public.kids DROP COLUMN x;
