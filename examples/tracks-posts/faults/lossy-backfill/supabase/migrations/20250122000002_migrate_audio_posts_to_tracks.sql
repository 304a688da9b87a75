-- Tracks and posts, 2 of 4: one track for each audio post.
-- Can be run again: a post that has a track already is left alone.

-- Reposts of a file would only give duplicate tracks: keep the first post of each.
delete from public.posts repost
using public.posts original
where repost.post_type = 'audio'
  and original.post_type = 'audio'
  and original.user_id = repost.user_id
  and original.audio_url = repost.audio_url
  and (original.created_at, original.id) < (repost.created_at, repost.id);

do $$
declare
  batch_size constant integer := 1000;
  total integer;
  moved integer;
  done integer := 0;
begin
  select count(*) into total
  from public.posts
  where post_type = 'audio' and track_id is null;

  raise notice 'Audio posts without a track: %', total;

  loop
    with batch as (
      select p.*, gen_random_uuid() as new_track_id
      from public.posts p
      where p.post_type = 'audio'
        and p.track_id is null
        and btrim(p.audio_url) <> ''
      order by p.id
      limit batch_size
    ),
    created as (
      insert into public.tracks (
        id, user_id, title, description, file_url, filename, mime_type, size_bytes, duration_seconds, is_public, created_at
      )
      select
        b.new_track_id,
        b.user_id,
        coalesce(nullif(btrim(b.title), ''), nullif(regexp_replace(b.audio_filename, '\.[^.]*$', ''), ''), 'Untitled'),
        nullif(b.content, ''),
        b.audio_url,
        b.audio_filename,
        b.audio_mime_type,
        b.audio_size_bytes,
        b.audio_duration_seconds,
        b.is_public,
        b.created_at
      from batch b
    )
    update public.posts p
    set track_id = b.new_track_id
    from batch b
    where p.id = b.id;

    get diagnostics moved = row_count;
    exit when moved = 0;
    done := done + moved;
    raise notice 'Migrated % of % audio posts', done, total;
  end loop;
end;
$$;

-- The planner knows nothing yet of the rows above.
analyze public.tracks;
analyze public.posts;

do $$
declare
  audio_posts integer;
  orphaned integer;
  mismatched integer;
  tracks integer;
begin
  select count(*), count(*) filter (where track_id is null)
  into audio_posts, orphaned
  from public.posts
  where post_type = 'audio';

  if orphaned > 0 then
    raise exception '% of % audio posts have no track', orphaned, audio_posts
      using
        detail = 'Posts: ' || (
          select string_agg(id::text, ', ')
          from (
            select id from public.posts where post_type = 'audio' and track_id is null order by created_at limit 5
          ) sample
        ),
        hint = 'Give them a valid audio_url or another post_type, then run this migration again.';
  end if;

  select count(*) into mismatched
  from public.posts p
  join public.tracks t on t.id = p.track_id
  where p.post_type = 'audio' and (t.file_url <> p.audio_url or t.user_id <> p.user_id);

  if mismatched > 0 then
    raise exception '% tracks do not match their post', mismatched;
  end if;

  select count(*) into tracks from public.tracks;

  if tracks < audio_posts then
    raise exception 'only % tracks for % audio posts', tracks, audio_posts;
  end if;

  raise notice 'Verified: % audio posts, % tracks, none orphaned', audio_posts, tracks;
end;
$$;
