-- Tracks and posts, 4 of 4: make the new rules binding.

alter table public.posts validate constraint posts_track_id_fkey;

-- Added and validated apart, so that the scan needs no exclusive lock.
alter table public.posts drop constraint if exists audio_posts_must_have_track;
alter table public.posts
  add constraint audio_posts_must_have_track
  check (post_type <> 'audio' or track_id is not null)
  not valid;
alter table public.posts validate constraint audio_posts_must_have_track;

create index if not exists idx_tracks_user_id on public.tracks (user_id);
create index if not exists idx_tracks_created_at on public.tracks (created_at desc);
create index if not exists idx_tracks_is_public on public.tracks (is_public) where is_public;

comment on column public.posts.audio_url is 'DEPRECATED: use tracks.file_url through posts.track_id.';
comment on column public.posts.audio_filename is 'DEPRECATED: use tracks.filename through posts.track_id.';
comment on column public.posts.audio_mime_type is 'DEPRECATED: use tracks.mime_type through posts.track_id.';
comment on column public.posts.audio_size_bytes is 'DEPRECATED: use tracks.size_bytes through posts.track_id.';
comment on column public.posts.audio_duration_seconds is 'DEPRECATED: use tracks.duration_seconds through posts.track_id.';

analyze public.posts;
analyze public.tracks;

do $$
declare
  unvalidated text;
begin
  select string_agg(conname, ', ') into unvalidated
  from pg_constraint
  where conname in ('posts_track_id_fkey', 'playlist_tracks_track_id_fkey', 'audio_posts_must_have_track')
    and not convalidated;

  if unvalidated is not null then
    raise exception 'not validated: %', unvalidated;
  end if;

  raise notice 'Finalized: tracks and posts are separate';
end;
$$;
