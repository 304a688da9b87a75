-- Why: SECURITY DEFINER functions with settings of their own, overloads, defaults, comments, odd argument names and dollar
--   quotes in bodies, grants of EXECUTE that differ from the default.
-- Wild: every project with RLS.
-- [before]
CREATE FUNCTION public.f(a int) RETURNS int LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' SET work_mem = '8MB' SET "statement_timeout" = '5s' AS 'SELECT $1';
CREATE FUNCTION public.f(a text, "B c" text DEFAULT 'it''s; $$ %s {x}') RETURNS text LANGUAGE plpgsql AS $body$
BEGIN
  -- ; ' " $$ \ %s %% {} {a}
  RETURN a || "B c" || $$x$$ || E'\n\\';
END $body$;
CREATE FUNCTION public.f(VARIADIC numeric[]) RETURNS numeric LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE COST 1000 AS 'SELECT 1';
CREATE FUNCTION public.g(OUT a int, OUT b text, INOUT c jsonb DEFAULT '{"a": [1, 2]}') RETURNS SETOF record LANGUAGE sql ROWS 7 AS 'SELECT 1, ''b'', $1';
CREATE FUNCTION public."Odd;Name"() RETURNS void LANGUAGE sql SET search_path = public, "Odd Path", extensions AS '';
REVOKE ALL ON FUNCTION public.f(int) FROM PUBLIC, anon, authenticated, service_role;
GRANT EXECUTE ON FUNCTION public.f(int) TO authenticated WITH GRANT OPTION;
REVOKE ALL ON FUNCTION public.g(jsonb) FROM PUBLIC;
COMMENT ON FUNCTION public.f(text, text) IS E'many\nlines; and ''quotes''';
-- [migration]
ALTER FUNCTION public.f(int) SECURITY INVOKER RESET ALL;
GRANT EXECUTE ON FUNCTION public.f(int) TO anon, PUBLIC;
DROP FUNCTION public."Odd;Name"();
CREATE OR REPLACE FUNCTION public.f(a text, "B c" text DEFAULT 'other') RETURNS text LANGUAGE sql AS 'SELECT a';
COMMENT ON FUNCTION public.f(text, text) IS NULL;
-- [migration]
DROP FUNCTION public.f(numeric[]);
ALTER FUNCTION public.g(jsonb) ROWS 9 STABLE;
CREATE FUNCTION public.f(a uuid) RETURNS int LANGUAGE sql AS 'SELECT 2';
