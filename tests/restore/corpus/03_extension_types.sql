-- Why: columns and indexes of types and operator classes that an extension owns, as with pgvector and postgis;
--   the extension stays while the tables go, or goes with the migration.
-- Wild: pgvector and postgis in public or extensions; here cube, citext, hstore, ltree and pg_trgm.
-- [before as supabase_admin]
CREATE EXTENSION cube WITH SCHEMA public;
CREATE EXTENSION earthdistance WITH SCHEMA public;
CREATE EXTENSION citext WITH SCHEMA extensions;
-- [before]
CREATE EXTENSION hstore WITH SCHEMA extensions;
CREATE EXTENSION ltree WITH SCHEMA public;
CREATE EXTENSION pg_trgm WITH SCHEMA extensions;
CREATE EXTENSION btree_gist WITH SCHEMA extensions;
CREATE TABLE public.places (
  id int PRIMARY KEY, name extensions.citext NOT NULL UNIQUE, spot public.cube, tags extensions.hstore DEFAULT 'a=>1',
  path public.ltree, near public.earth, CHECK (public.cube_dim(spot) <= 3)
);
CREATE INDEX places_spot ON public.places USING gist (spot public.gist_cube_ops);
CREATE INDEX places_name ON public.places USING gin ((name::text) extensions.gin_trgm_ops);
CREATE INDEX places_path ON public.places USING gist (path);
CREATE FUNCTION public.close_to(a public.cube, b public.cube) RETURNS double precision LANGUAGE sql IMMUTABLE
  RETURN a OPERATOR(public.<->) b;
INSERT INTO public.places SELECT n, 'Place ' || n, cube(ARRAY[n, n / 2.0]), ('n=>' || n)::extensions.hstore, ('top.n' || n)::ltree, ll_to_earth(n, n)
FROM generate_series(1, 30) n;
-- [migration]
ALTER TABLE public.places DROP COLUMN spot CASCADE, ALTER COLUMN name TYPE text;
DELETE FROM public.places WHERE id > 10;
DROP EXTENSION pg_trgm CASCADE;
-- [migration]
DROP EXTENSION ltree CASCADE;
CREATE EXTENSION unaccent WITH SCHEMA public;
CREATE FUNCTION public.plain(t text) RETURNS text LANGUAGE sql STABLE RETURN public.unaccent(t);
CREATE EXTENSION intarray WITH SCHEMA extensions;
CREATE TABLE public.uses (a int[]);
CREATE INDEX ON public.uses USING gin (a extensions.gin__int_ops);
