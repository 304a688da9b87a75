-- The reference that playlist_tracks lacked since it was made.
-- Not validated: posts deleted before today left entries behind, and nobody has cleaned them up.

alter table public.playlist_tracks
  add constraint playlist_tracks_track_id_fkey
  foreign key (track_id) references public.posts (id) on delete cascade
  not valid;
