-- Why: an operator class and family of the application, in an index and as the default of a type; only a superuser makes one.
-- Wild: no; by extensions only.
-- [before as supabase_admin]
CREATE FUNCTION public.cmp_len(a text, b text) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT length(a) - length(b)';
CREATE FUNCTION public.len_lt(a text, b text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT length(a) < length(b)';
CREATE FUNCTION public.len_eq(a text, b text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT length(a) = length(b)';
CREATE OPERATOR public.<# (LEFTARG = text, RIGHTARG = text, FUNCTION = public.len_lt);
CREATE OPERATOR public.=# (LEFTARG = text, RIGHTARG = text, FUNCTION = public.len_eq);
CREATE OPERATOR CLASS public.by_length FOR TYPE text USING btree AS OPERATOR 1 public.<#, OPERATOR 3 public.=#, FUNCTION 1 public.cmp_len(text, text);
COMMENT ON OPERATOR CLASS public.by_length USING btree IS 'by length';
-- [before]
CREATE TABLE public.words (word text);
CREATE INDEX words_length ON public.words (word public.by_length);
INSERT INTO public.words VALUES ('a'), ('abc'), ('bb');
-- [migration]
DROP INDEX public.words_length;
DELETE FROM public.words WHERE word = 'abc';
