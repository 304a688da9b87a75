-- artifact_media: which media an artifact shows, in which role and order. Can be run again.

create table if not exists public.artifact_media (
  id uuid primary key default gen_random_uuid(),
  artifact_id uuid not null references public.artifacts (id) on delete cascade,
  media_id uuid not null references public.user_media (id) on delete cascade,
  role text not null default 'gallery' check (role in ('gallery', 'inline_block', 'cover')),
  sort_order integer not null default 0 check (sort_order >= 0),
  caption text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint artifact_media_place_key unique (artifact_id, media_id, role, sort_order)
);

comment on column public.artifact_media.role is 'gallery: the carousel; inline_block: inside the text; cover: the card.';

create index if not exists idx_artifact_media_media_id on public.artifact_media (media_id);

alter table public.artifact_media enable row level security;

-- Who sees an artifact sees what it shows: row level security of artifacts applies inside the subquery.
drop policy if exists "Artifact media is viewable with its artifact" on public.artifact_media;
create policy "Artifact media is viewable with its artifact"
  on public.artifact_media for select to anon, authenticated
  using (exists (select 1 from public.artifacts a where a.id = artifact_media.artifact_id));

-- The second condition keeps other people's media out of one's own artifacts.
drop policy if exists "Users can add their media to their artifacts" on public.artifact_media;
create policy "Users can add their media to their artifacts"
  on public.artifact_media for insert to authenticated
  with check (
    exists (select 1 from public.artifacts a where a.id = artifact_media.artifact_id and a.user_id = (select auth.uid()))
    and exists (select 1 from public.user_media m where m.id = artifact_media.media_id and m.user_id = (select auth.uid()))
  );

drop policy if exists "Users can update the media of their artifacts" on public.artifact_media;
create policy "Users can update the media of their artifacts"
  on public.artifact_media for update to authenticated
  using (
    exists (select 1 from public.artifacts a where a.id = artifact_media.artifact_id and a.user_id = (select auth.uid()))
  )
  with check (
    exists (select 1 from public.artifacts a where a.id = artifact_media.artifact_id and a.user_id = (select auth.uid()))
    and exists (select 1 from public.user_media m where m.id = artifact_media.media_id and m.user_id = (select auth.uid()))
  );

drop policy if exists "Users can remove media from their artifacts" on public.artifact_media;
create policy "Users can remove media from their artifacts"
  on public.artifact_media for delete to authenticated
  using (
    exists (select 1 from public.artifacts a where a.id = artifact_media.artifact_id and a.user_id = (select auth.uid()))
  );
