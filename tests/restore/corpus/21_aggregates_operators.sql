-- Why: aggregates (ordinary, ordered, moving), operators with commutators, casts, procedures, functions of every shape.
-- Wild: median and weighted average; operators are rare.
-- [before]
CREATE FUNCTION public.plus(a int, b int) RETURNS int LANGUAGE sql IMMUTABLE PARALLEL SAFE AS 'SELECT coalesce(a, 0) + coalesce(b, 0)';
CREATE FUNCTION public.minus(a int, b int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT a - b';
CREATE AGGREGATE public.total(int) (SFUNC = public.plus, STYPE = int, INITCOND = '0', COMBINEFUNC = public.plus, PARALLEL = SAFE);
CREATE AGGREGATE public.moving(int) (SFUNC = public.plus, STYPE = int, MSFUNC = public.plus, MINVFUNC = public.minus, MSTYPE = int, INITCOND = '0', MINITCOND = '0');
CREATE AGGREGATE public.first(anycompatible) (SFUNC = array_append, STYPE = anycompatiblearray, INITCOND = '{}');
CREATE AGGREGATE public."Odd Median"(int ORDER BY int) (SFUNC = public.plus, STYPE = int, INITCOND = '0', FINALFUNC = public.minus);
COMMENT ON AGGREGATE public.total(int) IS 'sum';
CREATE OPERATOR public.<+> (LEFTARG = int, RIGHTARG = int, FUNCTION = public.plus, COMMUTATOR = OPERATOR(public.<+>));
CREATE FUNCTION public.neg(a int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT -a';
CREATE OPERATOR public.!! (RIGHTARG = int, FUNCTION = public.neg);
COMMENT ON OPERATOR public.<+>(int, int) IS 'adds';
CREATE TYPE public.money2 AS (amount numeric, code text);
CREATE FUNCTION public.to_money2(numeric) RETURNS public.money2 LANGUAGE sql IMMUTABLE AS $$ SELECT ROW($1, 'EUR')::public.money2 $$;
CREATE CAST (numeric AS public.money2) WITH FUNCTION public.to_money2(numeric) AS ASSIGNMENT;
CREATE CAST (public.money2 AS jsonb) WITH INOUT;
COMMENT ON CAST (numeric AS public.money2) IS 'euros';
CREATE TABLE public.sums (a int, b int, c int GENERATED ALWAYS AS (a OPERATOR(public.<+>) b) STORED, price public.money2);
INSERT INTO public.sums (a, b, price) VALUES (1, 2, 3.5::numeric);
CREATE VIEW public.totals AS SELECT public.total(a) AS t, public.first(b) AS f FROM public.sums;
CREATE FUNCTION public.window_like(anyelement, OUT a anyelement, OUT b text) LANGUAGE sql COST 7 AS 'SELECT $1, ''b''';
-- [migration]
DROP AGGREGATE public.total(int) CASCADE;
DROP OPERATOR public.<+>(int, int) CASCADE;
DROP CAST (numeric AS public.money2);
-- [migration]
CREATE OR REPLACE FUNCTION public.plus(a int, b int) RETURNS int LANGUAGE sql VOLATILE AS 'SELECT 0';
UPDATE public.sums SET a = 5;
