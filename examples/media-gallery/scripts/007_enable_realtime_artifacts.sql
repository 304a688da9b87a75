-- Open pages follow changes of an artifact.

alter table public.artifacts replica identity full;
alter publication supabase_realtime add table public.artifacts;
