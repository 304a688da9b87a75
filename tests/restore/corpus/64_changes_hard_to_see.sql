-- Why: rows that differ and whose sums hardly do: values that rows have swapped, {} that is NULL now, 1.0 that is 1.00.
-- Wild: a table with jsonb columns of an npm package, `UPDATE … SET details = DEFAULT`; orders of lists turned round.
-- [before]
CREATE TABLE public.swapped (id int PRIMARY KEY, place int NOT NULL, word text);
CREATE TABLE public.emptied (id int PRIMARY KEY, meta jsonb DEFAULT '{}', tags jsonb);
CREATE TABLE public.scaled (id int PRIMARY KEY, body jsonb, padded bpchar);
CREATE TABLE public.turned (a int, b int, UNIQUE (a, b));
CREATE TABLE public.points_at (id int PRIMARY KEY, a int, b int, FOREIGN KEY (a, b) REFERENCES public.turned (a, b));
INSERT INTO public.swapped SELECT n, n, 'word ' || n FROM generate_series(1, 5) AS n;
INSERT INTO public.emptied VALUES (1, '{}', '[]'), (2, '[]', '{}'), (3, NULL, '{}');
INSERT INTO public.scaled VALUES (1, '{"a": 1.0}', 'a '), (2, '[1.50, {}]', 'b');
INSERT INTO public.turned VALUES (1, 2), (3, 4);
INSERT INTO public.points_at VALUES (1, 1, 2), (2, 3, 4);
-- [migration]
UPDATE public.swapped SET place = 6 - place;
UPDATE public.emptied SET meta = NULL, tags = '{}';
-- [migration]
UPDATE public.scaled SET body = '{"a": 1.00}' WHERE id = 1;
UPDATE public.scaled SET body = '[1.5, {}]', padded = 'b  ' WHERE id = 2;
UPDATE public.points_at SET a = NULL;
UPDATE public.turned SET b = 6 - b;
