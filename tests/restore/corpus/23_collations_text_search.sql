-- Why: collations, text search configurations and dictionaries, conversions, extended statistics.
-- Wild: search in several languages.
-- [before]
CREATE COLLATION public.numeric_order (provider = builtin, locale = 'C.UTF-8');
CREATE COLLATION public.no_case FROM pg_catalog."C";
COMMENT ON COLLATION public.no_case IS 'plain';
CREATE TEXT SEARCH DICTIONARY public.short_words (TEMPLATE = simple, STOPWORDS = english);
CREATE TEXT SEARCH CONFIGURATION public."Mixed" (COPY = pg_catalog.english);
ALTER TEXT SEARCH CONFIGURATION public."Mixed" ALTER MAPPING FOR asciiword, word WITH public.short_words, english_stem;
COMMENT ON TEXT SEARCH CONFIGURATION public."Mixed" IS 'both';
CREATE TABLE public.docs (
  id int PRIMARY KEY, code text COLLATE public.numeric_order, login text COLLATE public.no_case UNIQUE, body text,
  fts tsvector GENERATED ALWAYS AS (to_tsvector('public."Mixed"'::regconfig, coalesce(body, ''))) STORED
);
CREATE INDEX docs_fts ON public.docs USING gin (fts);
CREATE INDEX docs_code ON public.docs (code COLLATE "C", lower(body) COLLATE public.numeric_order DESC NULLS LAST);
CREATE STATISTICS public.docs_stats (dependencies, ndistinct, mcv) ON code, login, (lower(body)) FROM public.docs;
ALTER STATISTICS public.docs_stats SET STATISTICS 300;
COMMENT ON STATISTICS public.docs_stats IS 'stats';
CREATE CONVERSION public.same FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1;
INSERT INTO public.docs SELECT n, 'c' || n, CASE n WHEN 1 THEN 'Anna' ELSE 'l' || n END, 'the running dogs ' || n FROM generate_series(1, 12) n;
-- [migration]
DROP STATISTICS public.docs_stats;
ALTER TEXT SEARCH CONFIGURATION public."Mixed" DROP MAPPING FOR word;
ALTER TABLE public.docs ALTER COLUMN login TYPE text COLLATE "C";
UPDATE public.docs SET login = 'ANNA' WHERE id = 1;
-- [migration]
DROP TEXT SEARCH DICTIONARY public.short_words CASCADE;
DROP COLLATION public.numeric_order CASCADE;
DROP CONVERSION public.same;
