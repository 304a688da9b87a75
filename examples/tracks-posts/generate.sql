-- Believable content for this example: %(rows)s audio posts and all that belongs to them.
-- The same seed and number give the same rows, ids included.

create function pg_temp.id(kind text, i bigint) returns uuid
language sql immutable
as $$ select md5(%(seed)s || ':' || kind || ':' || i)::uuid $$;

-- A number from 0 to n - 1.
create function pg_temp.pick(kind text, i bigint, n bigint) returns bigint
language sql immutable
as $$ select (hashtextextended(kind || i, %(seed)s) & 9223372036854775807) %% n $$;

create function pg_temp.word(kind text, i bigint, words text[]) returns text
language sql immutable
as $$ select words[1 + pg_temp.pick(kind, i, cardinality(words))] $$;

create temp table numbers on commit drop as
select
  greatest(%(rows)s / 10, 10)::bigint as users,
  %(rows)s::bigint as audio_posts,
  timestamptz '2025-01-20 12:00:00+00' as today;

-- The trigger on auth.users makes the profiles.
insert into auth.users (id, aud, role, email, raw_user_meta_data, created_at, updated_at)
select
  pg_temp.id('user', i),
  'authenticated',
  'authenticated',
  'user' || i || '@example.com',
  jsonb_build_object('username', 'user_' || i, 'display_name', 'User ' || i),
  today - make_interval(days => 400) + make_interval(mins => i::integer),
  today - make_interval(days => 400) + make_interval(mins => i::integer)
from numbers, generate_series(1, users) i;

-- Audio posts. Every 200th shares its file with the one before it, as reposts do.
insert into public.posts (
  id, user_id, post_type, title, content, is_public, created_at, updated_at,
  audio_url, audio_filename, audio_mime_type, audio_size_bytes, audio_duration_seconds
)
select
  pg_temp.id('audio', i),
  author,
  'audio',
  case when pg_temp.pick('untitled', i, 12) > 0 then title end,
  case when pg_temp.pick('silent', i, 3) > 0
    then pg_temp.word('opening', i, array['First take.', 'New mix, quieter drums.', 'Recorded last night.', 'Feedback welcome!'])
    else ''
  end,
  pg_temp.pick('private', i, 15) > 0,
  posted_at,
  posted_at,
  'https://abcdefghijklmnopqrst.supabase.co/storage/v1/object/public/audio/' || author || '/' || filename,
  filename,
  mime_type,
  500000 + pg_temp.pick('size', file, 9000000),
  30 + pg_temp.pick('length', file, 30000) / 100.0
from numbers,
  generate_series(1, audio_posts) i,
  lateral (select case when i %% 200 = 0 then i - 1 else i end as file) f,
  lateral (
    select
      pg_temp.word('adjective', i, array['Blue', 'Slow', 'Electric', 'Paper', 'Northern', 'Hidden', 'Broken', 'Golden'])
        || ' ' || pg_temp.word('noun', i, array['Harbour', 'Morning', 'Engine', 'Garden', 'Signal', 'River', 'Window'])
        as title,
      pg_temp.id('user', 1 + pg_temp.pick('author', file, users)) as author,
      today - make_interval(secs => pg_temp.pick('posted', i, 100 * 86400)) as posted_at
  ) p,
  lateral (
    select
      'take_' || lpad(file::text, 6, '0') || '.' || extension as filename,
      case extension when 'mp3' then 'audio/mpeg' when 'wav' then 'audio/wav' else 'audio/mp4' end as mime_type
    from (select pg_temp.word('extension', file, array['mp3', 'mp3', 'mp3', 'wav', 'm4a']) as extension) e
  ) a;

-- As many posts of the other types.
insert into public.posts (id, user_id, post_type, title, content, image_url, is_public, created_at, updated_at)
select
  pg_temp.id('post', i),
  pg_temp.id('user', 1 + pg_temp.pick('writer', i, users)),
  case when image then 'image' else 'text' end,
  case when image then 'Cover art ' || i end,
  'Post number ' || i || ': ' || pg_temp.word('text', i, array['back in the studio', 'on tour again', 'thank you all', 'who plays bass?']),
  case when image then 'https://images.example.com/' || pg_temp.id('image', i) || '.webp' end,
  pg_temp.pick('hidden', i, 20) > 0,
  posted_at,
  posted_at
from numbers,
  generate_series(1, audio_posts) i,
  lateral (
    select
      pg_temp.pick('image', i, 3) = 0 as image,
      today - make_interval(secs => pg_temp.pick('written', i, 300 * 86400)) as posted_at
  ) p;

-- The narrow catalogue of before.
insert into public.tracks (id, user_id, title, file_url, created_at)
select
  pg_temp.id('track', i),
  artist,
  'Single ' || i,
  'https://abcdefghijklmnopqrst.supabase.co/storage/v1/object/public/audio/' || artist || '/single_' || i || '.mp3',
  today - make_interval(days => 80, hours => i::integer)
from numbers,
  generate_series(1, greatest(audio_posts / 50, 3)) i,
  lateral (select pg_temp.id('user', 1 + pg_temp.pick('artist', i, users)) as artist) t;

insert into public.playlists (id, user_id, name, description, is_public, created_at, updated_at)
select
  pg_temp.id('playlist', i),
  pg_temp.id('user', 1 + pg_temp.pick('listener', i, users)),
  pg_temp.word('mood', i, array['Late night', 'Running', 'Focus', 'Sunday', 'Demo shelf', 'Road trip']) || ' ' || i,
  case when i %% 4 = 0 then 'Made by hand' end,
  i %% 6 <> 0,
  today - make_interval(days => 60),
  today - make_interval(days => 60)
from numbers, generate_series(1, greatest(audio_posts / 8, 4)) i;

-- Up to twelve entries a playlist; an audio post drawn twice counts once.
insert into public.playlist_tracks (id, playlist_id, track_id, position, added_at)
select
  pg_temp.id('entry', i * 100 + j),
  pg_temp.id('playlist', i),
  pg_temp.id('audio', 1 + pg_temp.pick('entry' || i || ':', j, audio_posts)),
  j - 1,
  today - make_interval(days => 30) + make_interval(mins => j::integer)
from numbers, generate_series(1, greatest(audio_posts / 8, 4)) i, generate_series(1, 12) j
on conflict on constraint playlist_tracks_playlist_id_track_id_key do nothing;

insert into public.likes (post_id, user_id, created_at)
select
  pg_temp.id('audio', i),
  pg_temp.id('user', 1 + pg_temp.pick('fan' || j || ':', i, users)),
  today - make_interval(hours => j::integer)
from numbers, generate_series(1, audio_posts) i, generate_series(1, 3) j
on conflict do nothing;

insert into public.comments (post_id, user_id, body, created_at)
select
  pg_temp.id('audio', i),
  pg_temp.id('user', 1 + pg_temp.pick('critic', i, users)),
  pg_temp.word('comment', i, array['Love the bridge.', 'More of this, please.', 'What reverb is that?', 'On repeat.']),
  today - make_interval(mins => (i %% 5000)::integer)
from numbers, generate_series(1, audio_posts, 2) i;

analyze public.profiles, public.posts, public.tracks, public.playlists, public.playlist_tracks, public.likes, public.comments;
