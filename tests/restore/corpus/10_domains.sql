-- Why: domains over enums, over domains and over composites, with defaults, NOT NULL and several checks that call functions.
-- Wild: e-mail and slug domains are common.
-- Ends (rung 3): rung 4; PostgreSQL adds no constraint to a domain that a composite type of a column uses
-- [before]
CREATE TYPE public.level AS ENUM ('low', 'high');
CREATE FUNCTION public.tidy(t text) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT t = btrim(t) $$;
CREATE DOMAIN public.words AS text COLLATE "C" DEFAULT 'none' CONSTRAINT tidy CHECK (public.tidy(VALUE)) CHECK (length(VALUE) < 50);
CREATE DOMAIN public.email AS public.words CHECK (VALUE LIKE '%@%');
CREATE DOMAIN public.known_level AS public.level NOT NULL DEFAULT 'low' CHECK (VALUE IS NOT NULL);
CREATE TYPE public.pair AS (a int, b public.words);
CREATE DOMAIN public.good_pair AS public.pair CHECK ((VALUE).a > 0);
CREATE DOMAIN public.emails AS public.email[] CHECK (cardinality(VALUE) < 5);
CREATE TABLE public.contacts (
  id int PRIMARY KEY, mail public.email DEFAULT 'a@b', level public.known_level, pair public.good_pair,
  others public.emails, levels public.level[]
);
COMMENT ON DOMAIN public.email IS 'an address';
COMMENT ON CONSTRAINT tidy ON DOMAIN public.words IS 'no blanks';
INSERT INTO public.contacts VALUES (1, 'x@y', 'high', ROW(1, 'b'), ARRAY['p@q', 'r@s']::public.email[], '{low,high}'), (2, NULL, 'low', NULL, NULL, NULL);
ALTER DOMAIN public.words ADD CONSTRAINT later CHECK (VALUE <> 'x@y') NOT VALID;
-- [migration]
ALTER DOMAIN public.words DROP CONSTRAINT tidy;
ALTER DOMAIN public.email SET DEFAULT 'none@none';
ALTER TYPE public.level ADD VALUE 'middle' BEFORE 'high';
ALTER DOMAIN public.known_level DROP NOT NULL;
-- [migration]
UPDATE public.contacts SET level = 'middle', pair = NULL;
DROP DOMAIN public.good_pair CASCADE;
DROP FUNCTION public.tidy(text);
