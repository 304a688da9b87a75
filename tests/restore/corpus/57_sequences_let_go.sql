-- Why: a sequence that its column has let go of stays while the table is dropped; the backup makes it along with the table.
-- Wild: `serial` columns that are turned into `identity` or `uuid`.
-- [before]
CREATE TABLE public.posts (id serial PRIMARY KEY, n bigserial, body text);
CREATE TABLE public.drafts (id int DEFAULT nextval('public.posts_n_seq') PRIMARY KEY);
INSERT INTO public.posts (body) SELECT 'x' FROM generate_series(1, 5);
INSERT INTO public.drafts DEFAULT VALUES;
-- [migration]
ALTER SEQUENCE public.posts_id_seq OWNED BY NONE;
ALTER SEQUENCE public.posts_n_seq OWNED BY NONE;
ALTER TABLE public.posts RENAME TO articles;
-- [migration]
DROP TABLE public.articles;
ALTER SEQUENCE public.posts_n_seq INCREMENT 5;
SELECT setval('public.posts_id_seq', 1, false);
