-- Why: functions whose settings were altered come back before the tables that their bodies name: a body may only be read when
--   it is called.
-- Wild: "fix search_path of functions" beside a dropped table, in most projects that heed the advisors.
-- [before]
CREATE TABLE public.members (team int, person uuid, PRIMARY KEY (team, person));
CREATE FUNCTION public.is_member(t int) RETURNS boolean LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public AS
$$ SELECT EXISTS (SELECT FROM members m WHERE m.person = auth.uid() AND m.team = t) $$;
CREATE FUNCTION public.teams(who uuid) RETURNS SETOF public.members LANGUAGE plpgsql STABLE AS
$$ DECLARE one members%ROWTYPE; BEGIN RETURN QUERY SELECT * FROM members WHERE person = who; END $$;
CREATE POLICY "Members read" ON storage.objects FOR SELECT TO authenticated USING (public.is_member(1));
INSERT INTO public.members VALUES (1, '11111111-1111-4111-8111-111111111111');
-- [migration]
ALTER FUNCTION public.is_member(int) RESET ALL;
ALTER FUNCTION public.is_member(int) SECURITY INVOKER;
ALTER FUNCTION public.teams(uuid) SET search_path = '';
-- [migration]
DROP TABLE public.members CASCADE;
