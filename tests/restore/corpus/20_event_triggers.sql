-- Why: an event trigger of the application would refuse or rewrite what a restore does.
-- As: supabase_admin
-- Wild: "enable RLS on every new table", pgrst reload.
-- [before]
CREATE TABLE public.kept (id int PRIMARY KEY, body text);
INSERT INTO public.kept SELECT n, 'x' FROM generate_series(1, 5) n;
CREATE FUNCTION public.enable_rls() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE found record;
BEGIN
  FOR found IN SELECT * FROM pg_event_trigger_ddl_commands() WHERE command_tag = 'CREATE TABLE' AND schema_name = 'public' LOOP
    EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', found.object_identity);
  END LOOP;
END $$;
-- [before as supabase_admin]
CREATE EVENT TRIGGER enable_rls ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'CREATE TABLE AS') EXECUTE FUNCTION public.enable_rls();
-- [migration]
DROP TABLE public.kept;
CREATE TABLE public.fresh (id int);
