-- Fill user_media and artifact_media from artifacts.media_urls, which stays as it is. Can be run again.

create or replace function public.extract_filename_from_url(url text)
returns text
language sql
immutable
set search_path = ''
as $$
  select coalesce(nullif(regexp_replace(regexp_replace(url, '[?#].*$', ''), '^.*/', ''), ''), 'unnamed');
$$;

create or replace function public.detect_mime_type(url text)
returns text
language sql
immutable
set search_path = ''
as $$
  select case lower(substring(public.extract_filename_from_url(url) from '\.([^.]+)$'))
    when 'jpg' then 'image/jpeg'
    when 'jpeg' then 'image/jpeg'
    when 'png' then 'image/png'
    when 'gif' then 'image/gif'
    when 'webp' then 'image/webp'
    when 'heic' then 'image/heic'
    when 'mp4' then 'video/mp4'
    when 'mov' then 'video/quicktime'
    when 'webm' then 'video/webm'
    when 'mp3' then 'audio/mpeg'
    when 'm4a' then 'audio/mp4'
    when 'wav' then 'audio/wav'
    when 'pdf' then 'application/pdf'
    else 'application/octet-stream'
  end;
$$;

create or replace function public.detect_media_type(url text)
returns text
language sql
immutable
set search_path = ''
as $$
  select case split_part(public.detect_mime_type(url), '/', 1)
    when 'image' then 'image'
    when 'video' then 'video'
    when 'audio' then 'audio'
    else 'document'
  end;
$$;

-- Null for a file that lies outside the bucket.
create or replace function public.extract_storage_path(url text)
returns text
language sql
immutable
set search_path = ''
as $$
  select substring(regexp_replace(url, '[?#].*$', '') from '/storage/v1/object/(?:public|sign|authenticated)/media/(.+)$');
$$;

do $$
declare
  artifact record;
  item record;
  v_media_id uuid;
  v_filename text;
  v_path text;
  processed integer := 0;
  created integer := 0;
  linked integer := 0;
  skipped integer := 0;
  total integer;
  added integer;
  speak boolean;
begin
  select count(*) into total from public.artifacts where media_urls is not null;
  raise notice 'Artifacts with media: %', total;

  for artifact in
    select id, user_id, title, media_urls, created_at
    from public.artifacts
    where media_urls is not null
    order by created_at, id
  loop
    processed := processed + 1;
    -- The first ones in full, then a sign of life.
    speak := processed <= 10 or processed % 500 = 0;
    if speak then
      raise notice 'Processing artifact: % (% of %)', artifact.title, processed, total;
    end if;

    for item in
      select btrim(u.url) as url, u.position - 1 as sort_order
      from unnest(artifact.media_urls) with ordinality as u (url, position)
    loop
      if coalesce(item.url, '') = '' then
        skipped := skipped + 1;
        continue;
      end if;

      select m.id into v_media_id
      from public.user_media m
      where m.user_id = artifact.user_id and m.public_url = item.url;

      if v_media_id is null then
        v_filename := public.extract_filename_from_url(item.url);
        v_path := public.extract_storage_path(item.url);

        insert into public.user_media (
          user_id, public_url, storage_path, filename, media_type, mime_type, file_size_bytes, created_at
        )
        values (
          artifact.user_id,
          item.url,
          v_path,
          v_filename,
          public.detect_media_type(v_filename),
          public.detect_mime_type(v_filename),
          (select (o.metadata ->> 'size')::bigint from storage.objects o where o.bucket_id = 'media' and o.name = v_path),
          artifact.created_at
        )
        returning id into v_media_id;

        created := created + 1;
        if speak then
          raise notice 'Created new media: %', v_filename;
        end if;
      end if;

      insert into public.artifact_media (artifact_id, media_id, role, sort_order, created_at)
      values (artifact.id, v_media_id, 'gallery', item.sort_order, artifact.created_at)
      on conflict on constraint artifact_media_place_key do nothing;

      get diagnostics added = row_count;
      linked := linked + added;
    end loop;
  end loop;

  if skipped > 0 then
    raise warning 'Skipped % empty URLs', skipped;
  end if;

  raise notice 'Total user_media records created: %', created;
  raise notice 'Total artifact_media records created: %', linked;
end;
$$;

-- The new tables hold everything now.
update public.artifacts set media_urls = null where media_urls is not null;

-- The planner knows nothing yet of the rows above.
analyze public.user_media;
analyze public.artifact_media;
