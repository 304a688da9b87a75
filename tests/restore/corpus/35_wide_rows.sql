-- Why: large values, plain and compressed, many columns, rows near the page limit, values that COPY must escape.
-- Wild: base64 images in columns.
-- [before]
CREATE TABLE public.files (id int PRIMARY KEY, content bytea, words text, doc jsonb);
ALTER TABLE public.files ALTER COLUMN content SET STORAGE EXTERNAL;
INSERT INTO public.files SELECT 1, decode(string_agg(md5(n::text), '' ORDER BY n), 'hex'), repeat('wide ', 2000000), NULL FROM generate_series(1, 400000) n;
INSERT INTO public.files SELECT 2, NULL, E'\\.', jsonb_agg(n) FROM generate_series(1, 200000) n;
INSERT INTO public.files VALUES (3, '\x00ff5c2e0a', E'\\N\t\r\n\b\v\f\\\\\x01', '"\\u00e9"'), (4, '', '', '{}'), (5, NULL, '\N', 'null');
DO $$ BEGIN EXECUTE 'CREATE TABLE public.wide (' || (SELECT string_agg(format('c%s text DEFAULT %L', n, 'value ' || n), ', ') FROM generate_series(1, 600) n) || ')'; END $$;
INSERT INTO public.wide DEFAULT VALUES;
INSERT INTO public.wide (c1) VALUES (NULL);
-- [migration]
DELETE FROM public.files WHERE id IN (1, 3);
UPDATE public.files SET doc = '[]', words = NULL;
ALTER TABLE public.wide DROP COLUMN c300;
-- [migration]
TRUNCATE public.wide;
ALTER TABLE public.files ALTER COLUMN words TYPE varchar;
