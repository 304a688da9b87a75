-- Why: an event trigger of a role that we cannot act for calls a function of ours: to drop the function takes it along, and
--   nobody but that role could make it again.
-- Wild: event triggers that Supabase's support set up; on hosted, supautils gives postgres its own.
-- [before]
CREATE TABLE public.kept (id int PRIMARY KEY);
CREATE FUNCTION public.watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
-- [before as supabase_admin]
CREATE EVENT TRIGGER watch ON sql_drop EXECUTE FUNCTION public.watch();
-- [migration]
DROP TABLE public.kept;
