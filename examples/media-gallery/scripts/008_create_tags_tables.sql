-- Tags.

create table if not exists public.tags (
  id bigint generated always as identity primary key,
  name text not null unique check (name = lower(name))
);

create table if not exists public.artifact_tags (
  artifact_id uuid not null references public.artifacts (id) on delete cascade,
  tag_id bigint not null references public.tags (id) on delete cascade,
  primary key (artifact_id, tag_id)
);

create index if not exists idx_artifact_tags_tag_id on public.artifact_tags (tag_id);

alter table public.tags enable row level security;
alter table public.artifact_tags enable row level security;

create policy "Tags are viewable by everyone"
  on public.tags for select to anon, authenticated
  using (true);

create policy "Tags of visible artifacts are viewable"
  on public.artifact_tags for select to anon, authenticated
  using (exists (select 1 from public.artifacts a where a.id = artifact_tags.artifact_id));

create policy "Users can tag their own artifacts"
  on public.artifact_tags for all to authenticated
  using (
    exists (select 1 from public.artifacts a where a.id = artifact_tags.artifact_id and a.user_id = (select auth.uid()))
  )
  with check (
    exists (select 1 from public.artifacts a where a.id = artifact_tags.artifact_id and a.user_id = (select auth.uid()))
  );
