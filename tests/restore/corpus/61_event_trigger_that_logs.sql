-- Why: event triggers write down what is dropped and made; what the agent makes for itself and takes away is no part of that.
-- Wild: audit of schema changes.
-- [before]
CREATE TABLE public.kept (id int PRIMARY KEY);
CREATE TABLE public.ddl_log (id int GENERATED ALWAYS AS IDENTITY, what text);
CREATE FUNCTION public.log_drop() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE found record;
BEGIN
  FOR found IN SELECT * FROM pg_event_trigger_dropped_objects() LOOP
    INSERT INTO public.ddl_log (what) VALUES (found.object_identity);
  END LOOP;
END $$;
CREATE FUNCTION public.log_ddl() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO public.ddl_log (what) VALUES (tg_tag);
END $$;
-- [before as supabase_admin]
CREATE EVENT TRIGGER log_drop ON sql_drop EXECUTE FUNCTION public.log_drop();
CREATE EVENT TRIGGER log_ddl ON ddl_command_end EXECUTE FUNCTION public.log_ddl();
-- [before]
CREATE TABLE public.after_it (id int);
-- [migration]
DROP TABLE public.after_it;
ALTER TABLE public.kept ADD COLUMN more int;
-- [migration]
DELETE FROM public.ddl_log;
