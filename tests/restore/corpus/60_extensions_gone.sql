-- Why: an extension that an index calls by a function's text is dropped: its tables cannot even be read until it is back; and an
--   extension's own domain has checks that are not ours to take away.
-- Wild: `f_unaccent` in an index is the usual way; earthdistance and cube come together.
-- [before]
CREATE EXTENSION unaccent WITH SCHEMA extensions;
CREATE EXTENSION cube WITH SCHEMA public;
CREATE EXTENSION earthdistance WITH SCHEMA public;
CREATE FUNCTION public.f_unaccent(text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE STRICT AS
$$ SELECT extensions.unaccent('extensions.unaccent', $1) $$;
CREATE TABLE public.places (
  id int PRIMARY KEY, name text, lat float8, lng float8, at public.earth GENERATED ALWAYS AS (public.ll_to_earth(lat, lng)) STORED
);
CREATE INDEX places_name ON public.places (lower(public.f_unaccent(name)));
CREATE INDEX places_at ON public.places USING gist (public.ll_to_earth(lat, lng));
INSERT INTO public.places SELECT n, 'Plâce ' || n, n, n FROM generate_series(1, 5) n;
-- [migration]
UPDATE public.places SET name = upper(name);
DROP EXTENSION cube CASCADE;
-- [migration]
DROP EXTENSION unaccent;
