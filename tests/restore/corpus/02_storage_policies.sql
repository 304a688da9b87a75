-- Why: policies on storage.objects call functions and read tables of the application.
-- Wild: 28 of 40 public projects.
-- [before]
CREATE TABLE public.teams (id uuid PRIMARY KEY, "Folder Name" text NOT NULL);
CREATE TABLE public.members (team uuid REFERENCES public.teams, person uuid, role text, PRIMARY KEY (team, person));
CREATE FUNCTION public.may_write(path text) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS
$$ SELECT EXISTS (SELECT FROM members m JOIN teams t ON t.id = m.team
   WHERE m.person = auth.uid() AND t."Folder Name" = split_part(path, '/', 1)) $$;
CREATE POLICY "Team files: read" ON storage.objects FOR SELECT TO authenticated
  USING (bucket_id = 'teams' AND EXISTS (SELECT FROM public.members m WHERE m.person = auth.uid()));
CREATE POLICY "Team files: write" ON storage.objects FOR INSERT TO authenticated
  WITH CHECK (bucket_id = 'teams' AND public.may_write(name));
CREATE POLICY only_teams ON storage.buckets AS RESTRICTIVE FOR ALL TO anon, authenticated USING (id <> 'private');
INSERT INTO storage.buckets (id, name) VALUES ('teams', 'teams');
INSERT INTO public.teams VALUES ('11111111-1111-4111-8111-111111111111', 'red');
-- [migration]
DROP TABLE public.members CASCADE;
ALTER POLICY "Team files: write" ON storage.objects WITH CHECK (true);
ALTER POLICY only_teams ON storage.buckets RENAME TO all_teams;
-- [migration]
DROP POLICY "Team files: write" ON storage.objects;
DROP FUNCTION public.may_write(text);
CREATE POLICY leak ON storage.objects USING (true);
ALTER TABLE public.teams RENAME COLUMN "Folder Name" TO folder;
UPDATE public.teams SET folder = 'blue';
