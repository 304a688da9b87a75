-- Believable content for this example: %(rows)s artifacts and all that belongs to them.
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
  greatest(%(rows)s / 25, 5)::bigint as users,
  %(rows)s::bigint as artifacts,
  timestamptz '2025-11-25 12:00:00+00' as today;

-- The trigger on auth.users makes the profiles.
insert into auth.users (id, aud, role, email, raw_user_meta_data, created_at, updated_at)
select
  pg_temp.id('user', i),
  'authenticated',
  'authenticated',
  'keeper' || i || '@example.com',
  jsonb_build_object('display_name', 'Keeper ' || i),
  today - make_interval(days => 300),
  today - make_interval(days => 300)
from numbers, generate_series(1, users) i;

-- Two collections a user; every fifth is public.
insert into public.collections (id, user_id, title, description, is_public, created_at, updated_at)
select
  pg_temp.id('collection', i),
  pg_temp.id('user', 1 + (i - 1) %% users),
  pg_temp.word('box', i, array['Attic', 'Kitchen', 'Letters', 'Jewellery', 'Photographs', 'Tools']) || ' ' || i,
  'Kept since ' || 1900 + pg_temp.pick('since', i, 100),
  i %% 5 = 0,
  today - make_interval(days => 250),
  today - make_interval(days => 250)
from numbers, generate_series(1, users * 2) i;

-- Media of artifact i, as a plain list of URLs: nine of ten artifacts have one to five files.
-- Cameras give the same names again and again, so names repeat over folders. One file in twenty is shared
-- with the artifact before, one in thirty lies at another host.
create temp table media on commit drop as
select
  i as artifact,
  j as position,
  case
    when pg_temp.pick('remote' || j || ':', file, 30) = 0
      then 'https://res.cloudinary.com/example/' || kind || '/upload/v17/' || pg_temp.id('remote' || j, file) || '.' || extension
    else 'https://abcdefghijklmnopqrst.supabase.co/storage/v1/object/public/media/' || path
  end as url,
  path,
  kind,
  extension
from numbers,
  generate_series(1, artifacts) i,
  generate_series(1, 1 + pg_temp.pick('files', i, 5)) j,
  -- The owner repeats with the number of users, so the shared file belongs to the same person.
  lateral (
    select case when pg_temp.pick('shared', i * 10 + j, 20) = 0 and i > users then i - users else i end as file
  ) f,
  lateral (
    select pg_temp.word('extension' || j || ':', file, array['jpg', 'jpg', 'jpg', 'jpg', 'png', 'heic', 'mp4', 'mov', 'mp3', 'm4a']) as extension
  ) e,
  lateral (
    select
      case when extension in ('mp4', 'mov') then 'video' when extension in ('mp3', 'm4a') then 'audio' else 'image' end as kind,
      pg_temp.id('user', 1 + (file - 1) %% users) || '/' || file || '/IMG_' || lpad(j::text, 4, '0') || '.' || extension as path
  ) p
where pg_temp.pick('bare', i, 10) > 0;

insert into storage.objects (bucket_id, name, owner_id, metadata, created_at)
select
  'media',
  path,
  split_part(path, '/', 1),
  jsonb_build_object('size', 20000 + pg_temp.pick('size', hashtextextended(path, 0) & 65535, 8000000)),
  today - make_interval(days => 200)
from (select distinct path from media where url like '%%.supabase.co/%%') files, numbers;

insert into public.artifacts (
  id, user_id, collection_id, title, description, year_acquired, origin, media_urls, created_at, updated_at
)
select
  pg_temp.id('artifact', i),
  pg_temp.id('user', 1 + (i - 1) %% users),
  pg_temp.id('collection', 1 + (i - 1) %% (users * 2)),
  pg_temp.word('whose', i, array['Grandmother''s', 'Uncle Emil''s', 'The old', 'Aunt Rosa''s', 'A neighbour''s'])
    || ' ' || pg_temp.word('thing', i, array['clock', 'recipe book', 'violin', 'ring', 'sewing machine', 'diary', 'teapot'])
    || ' ' || i,
  'Found in a drawer, number ' || i,
  1850 + pg_temp.pick('year', i, 170),
  pg_temp.word('origin', i, array['Vienna', 'Porto', 'Chicago', 'Kyoto', 'Lagos']),
  m.urls,
  made_at,
  made_at
from numbers
  cross join generate_series(1, artifacts) i
  cross join lateral (select today - make_interval(mins => pg_temp.pick('made', i, 180 * 1440)::integer) as made_at) t
  left join (select artifact, array_agg(url order by position) as urls from media group by artifact) m on m.artifact = i;

insert into public.tags (name)
select unnest(array['family', 'music', 'kitchen', 'war', 'travel', 'childhood', 'work', 'wedding']);

insert into public.artifact_tags (artifact_id, tag_id)
select pg_temp.id('artifact', i), t.id
from numbers,
  generate_series(1, artifacts) i
  join public.tags t on pg_temp.pick('tag' || t.name, i, 4) = 0;

analyze public.profiles, public.collections, public.artifacts, public.tags, public.artifact_tags;
