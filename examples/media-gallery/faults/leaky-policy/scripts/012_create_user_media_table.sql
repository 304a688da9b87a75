-- user_media: every file a user has uploaded, once. Can be run again.

create table if not exists public.user_media (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references public.profiles (id) on delete cascade,
  public_url text not null,
  storage_path text,
  filename text not null,
  media_type text not null check (media_type in ('image', 'video', 'audio', 'document')),
  mime_type text not null,
  file_size_bytes bigint check (file_size_bytes >= 0),
  metadata jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint user_media_user_id_public_url_key unique (user_id, public_url)
);

comment on table public.user_media is 'A user''s media library; artifact_media says where each file is shown.';
comment on column public.user_media.storage_path is 'Path in the bucket media; null for files that lie elsewhere.';

create index if not exists idx_user_media_user_id on public.user_media (user_id);
create index if not exists idx_user_media_created_at on public.user_media (created_at desc);

alter table public.user_media enable row level security;

drop policy if exists "Users can view their own media" on public.user_media;
create policy "Users can view their own media"
  on public.user_media for select to authenticated
  using ((select auth.uid()) is not null);

drop policy if exists "Users can add their own media" on public.user_media;
create policy "Users can add their own media"
  on public.user_media for insert to authenticated
  with check (user_id = (select auth.uid()));

drop policy if exists "Users can update their own media" on public.user_media;
create policy "Users can update their own media"
  on public.user_media for update to authenticated
  using (user_id = (select auth.uid()))
  with check (user_id = (select auth.uid()));

drop policy if exists "Users can delete their own media" on public.user_media;
create policy "Users can delete their own media"
  on public.user_media for delete to authenticated
  using (user_id = (select auth.uid()));
