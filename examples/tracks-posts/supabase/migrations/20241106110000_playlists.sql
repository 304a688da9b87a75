-- Playlists. What they call a track is still an audio post.

create table public.playlists (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references public.profiles (id) on delete cascade,
  name text not null check (char_length(name) between 1 and 120),
  description text,
  is_public boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create index idx_playlists_user_id on public.playlists (user_id);

create table public.playlist_tracks (
  id uuid primary key default gen_random_uuid(),
  playlist_id uuid not null references public.playlists (id) on delete cascade,
  track_id uuid not null,
  position integer not null check (position >= 0),
  added_at timestamptz not null default now(),
  constraint playlist_tracks_playlist_id_track_id_key unique (playlist_id, track_id)
);

create index idx_playlist_tracks_position on public.playlist_tracks (playlist_id, position);

create trigger playlists_set_updated_at
  before update on public.playlists
  for each row execute function public.set_updated_at();

alter table public.playlists enable row level security;
alter table public.playlist_tracks enable row level security;

create policy "Public playlists are viewable by everyone"
  on public.playlists for select to anon, authenticated
  using (is_public or user_id = (select auth.uid()));

create policy "Users can manage their own playlists"
  on public.playlists for all to authenticated
  using (user_id = (select auth.uid()))
  with check (user_id = (select auth.uid()));

create policy "Playlist tracks are viewable with their playlist"
  on public.playlist_tracks for select to anon, authenticated
  using (exists (select 1 from public.playlists where playlists.id = playlist_tracks.playlist_id));

create policy "Users can manage the tracks of their own playlists"
  on public.playlist_tracks for all to authenticated
  using (
    exists (
      select 1 from public.playlists
      where playlists.id = playlist_tracks.playlist_id and playlists.user_id = (select auth.uid())
    )
  )
  with check (
    exists (
      select 1 from public.playlists
      where playlists.id = playlist_tracks.playlist_id and playlists.user_id = (select auth.uid())
    )
  );

-- What the player asks for when somebody presses play.
create function public.get_playlist_tracks(p_playlist_id uuid)
returns table (track_id uuid, "position" integer, title text, file_url text, duration_seconds numeric)
language sql
stable
set search_path = ''
as $$
  select p.id, pt.position, coalesce(p.title, p.audio_filename), p.audio_url, p.audio_duration_seconds
  from public.playlist_tracks pt
  join public.posts p on p.id = pt.track_id
  where pt.playlist_id = p_playlist_id
  order by pt.position;
$$;
