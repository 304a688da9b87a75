-- Why: tables without columns that have rows, of dropped columns only, and a view without columns.
-- Wild: no; a migration that empties a table before dropping it.
-- [before]
CREATE TABLE public.nothing ();
INSERT INTO public.nothing SELECT FROM generate_series(1, 4);
CREATE TABLE public.emptied (a int, b text);
INSERT INTO public.emptied VALUES (1, 'a'), (2, 'b');
ALTER TABLE public.emptied DROP COLUMN a, DROP COLUMN b;
CREATE VIEW public.void AS SELECT FROM public.nothing;
CREATE TABLE public.generated_only (a int GENERATED ALWAYS AS (1) STORED);
INSERT INTO public.generated_only SELECT FROM generate_series(1, 3);
-- [migration]
ALTER TABLE public.nothing ADD COLUMN x int DEFAULT 1;
INSERT INTO public.emptied SELECT FROM generate_series(1, 3);
DELETE FROM public.generated_only;
