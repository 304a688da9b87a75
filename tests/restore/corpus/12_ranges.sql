-- Why: range and multirange types of the application, with subtype functions, in columns, arrays and exclusion constraints.
-- Wild: bookings.
-- [before as supabase_admin]
CREATE EXTENSION btree_gist WITH SCHEMA extensions;
-- [before]
CREATE FUNCTION public.time_diff(a time, b time) RETURNS double precision LANGUAGE sql IMMUTABLE STRICT AS 'SELECT extract(epoch FROM a - b)';
CREATE TYPE public.timerange AS RANGE (subtype = time, subtype_diff = public.time_diff, multirange_type_name = public.times);
CREATE TYPE public."Text Range" AS RANGE (subtype = text, collation = "C");
CREATE TABLE public.bookings (
  id int PRIMARY KEY, room int NOT NULL, slot public.timerange NOT NULL, open public.times, span daterange, spans datemultirange,
  words public."Text Range"[],
  CONSTRAINT no_overlap EXCLUDE USING gist (room WITH =, slot WITH &&) WHERE (room > 0) DEFERRABLE INITIALLY DEFERRED,
  EXCLUDE USING gist (span WITH &&)
);
COMMENT ON CONSTRAINT no_overlap ON public.bookings IS 'one at a time';
INSERT INTO public.bookings VALUES (1, 1, '[08:00,09:00)', '{[08:00,09:00),[10:00,11:00)}', 'empty', '{}', '{"[a,b)",empty}'),
  (2, 1, '[09:00,)', NULL, '[2026-01-01,infinity)', '{[2026-01-01,2026-02-01)}', NULL);
-- [migration]
ALTER TABLE public.bookings DROP CONSTRAINT no_overlap;
UPDATE public.bookings SET slot = '[00:00,24:00)';
-- [migration]
DROP TYPE public.timerange CASCADE;
CREATE TYPE public.timerange AS RANGE (subtype = timetz);
ALTER TYPE public."Text Range" RENAME TO text_range;
