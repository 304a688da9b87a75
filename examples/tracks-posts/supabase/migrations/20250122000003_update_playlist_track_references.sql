-- Tracks and posts, 3 of 4: playlists point to tracks instead of posts.
-- Can be run again: an entry that names a track already matches no post.

alter table public.playlist_tracks drop constraint if exists playlist_tracks_track_id_fkey;

do $$
declare
  total integer;
  moved integer;
begin
  select count(*) into total from public.playlist_tracks;

  update public.playlist_tracks pt
  set track_id = p.track_id
  from public.posts p
  where p.id = pt.track_id and p.track_id is not null;

  get diagnostics moved = row_count;
  raise notice 'Updated % of % playlist entries', moved, total;
end;
$$;

-- An entry that still names no track stops here.
alter table public.playlist_tracks
  add constraint playlist_tracks_track_id_fkey
  foreign key (track_id) references public.tracks (id) on delete cascade
  not valid;

alter table public.playlist_tracks validate constraint playlist_tracks_track_id_fkey;

create index if not exists idx_playlist_tracks_track_id on public.playlist_tracks (track_id);

analyze public.playlist_tracks;

create or replace function public.get_playlist_tracks(p_playlist_id uuid)
returns table (track_id uuid, "position" integer, title text, file_url text, duration_seconds numeric)
language sql
stable
set search_path = ''
as $$
  select t.id, pt.position, t.title, t.file_url, t.duration_seconds
  from public.playlist_tracks pt
  join public.tracks t on t.id = pt.track_id
  where pt.playlist_id = p_playlist_id
  order by pt.position;
$$;

do $$
declare
  entries integer;
  invalid integer;
begin
  select count(*), count(*) filter (where t.id is null)
  into entries, invalid
  from public.playlist_tracks pt
  left join public.tracks t on t.id = pt.track_id;

  if invalid > 0 then
    raise exception '% of % playlist entries refer to no track', invalid, entries;
  end if;

  raise notice 'Verified: all % playlist entries refer to a track', entries;
end;
$$;
