-- Three playlist entries from before the foreign key existed: their posts are long gone.
alter table public.playlist_tracks drop constraint playlist_tracks_track_id_fkey;

insert into public.playlist_tracks (id, playlist_id, track_id, position, added_at)
select md5('dangling entry ' || i)::uuid, p.id, md5('deleted post ' || i)::uuid, 100 + i, timestamptz '2024-11-10 09:00:00+00'
from (select id from public.playlists order by id limit 1) p, generate_series(1, 3) i;

alter table public.playlist_tracks
  add constraint playlist_tracks_track_id_fkey
  foreign key (track_id) references public.posts (id) on delete cascade
  not valid;
