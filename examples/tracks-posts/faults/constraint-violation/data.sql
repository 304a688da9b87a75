-- Stands for the old release of the application, which nobody stopped: while 000003 updates playlists, it publishes
-- an audio post and knows nothing of tracks.
create function public.old_release_publishes()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  insert into public.posts (user_id, post_type, title, content, audio_url, audio_filename)
  select p.user_id, 'audio', 'Posted meanwhile', '', p.audio_url, p.audio_filename
  from public.posts p
  where p.post_type = 'audio'
  order by p.id
  limit 1;
  return null;
end;
$$;

create trigger old_release_publishes
  after update on public.playlist_tracks
  for each statement execute function public.old_release_publishes();
