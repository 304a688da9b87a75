-- Why: forced row-level security, policies for several roles and commands, one that reads its own table by a function.
-- Wild: every project.
-- [before]
CREATE TABLE public.notes (id int PRIMARY KEY, owner uuid DEFAULT auth.uid(), body text, shared boolean DEFAULT false);
ALTER TABLE public.notes ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE FUNCTION public.mine(n int) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS 'SELECT EXISTS (SELECT FROM public.notes WHERE id = n AND owner = auth.uid())';
CREATE POLICY "own notes; all" ON public.notes FOR ALL TO authenticated USING (public.mine(id)) WITH CHECK ((SELECT auth.uid()) = owner);
CREATE POLICY readers ON public.notes AS RESTRICTIVE FOR SELECT TO anon, authenticated, service_role USING (shared OR auth.role() = 'service_role');
CREATE POLICY writers ON public.notes FOR INSERT WITH CHECK (length(body) < 100);
COMMENT ON POLICY readers ON public.notes IS 'it''s shared';
CREATE TABLE public.forced_only (id int);
ALTER TABLE public.forced_only FORCE ROW LEVEL SECURITY;
INSERT INTO public.notes SELECT n, NULL, 'note ' || n FROM generate_series(1, 5) n;
-- [migration]
ALTER TABLE public.notes NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY;
ALTER POLICY readers ON public.notes TO PUBLIC USING (true);
DROP POLICY "own notes; all" ON public.notes;
COMMENT ON POLICY readers ON public.notes IS NULL;
-- [migration]
CREATE POLICY readers2 ON public.notes USING (false);
ALTER POLICY writers ON public.notes RENAME TO "writers 2";
ALTER TABLE public.forced_only NO FORCE ROW LEVEL SECURITY, ENABLE ROW LEVEL SECURITY;
UPDATE public.notes SET body = NULL;
