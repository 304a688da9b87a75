-- Why: a function that an event trigger of another role calls must stay; what a migration set of it is set back where it is.
-- Wild: `ALTER FUNCTION … SET search_path` on the function that turns row security on.
-- [before]
CREATE TABLE public.kept (id int PRIMARY KEY);
CREATE FUNCTION public.watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
-- [before as supabase_admin]
CREATE EVENT TRIGGER watch ON sql_drop EXECUTE FUNCTION public.watch();
-- [migration]
COMMENT ON FUNCTION public.watch() IS 'new';
ALTER FUNCTION public.watch() SET search_path = '';
REVOKE EXECUTE ON FUNCTION public.watch() FROM PUBLIC;
-- [migration]
ALTER TABLE public.kept ADD COLUMN x int;
