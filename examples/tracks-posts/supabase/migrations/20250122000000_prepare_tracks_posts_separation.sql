-- Tracks and posts, 1 of 4: make room. Nothing that runs today breaks.

-- Everything a track must carry once it no longer lives inside a post.
alter table public.tracks
  add column if not exists description text,
  add column if not exists filename text,
  add column if not exists mime_type text,
  add column if not exists size_bytes bigint check (size_bytes >= 0),
  add column if not exists duration_seconds numeric(8, 2) check (duration_seconds >= 0),
  add column if not exists is_public boolean not null default true,
  add column if not exists updated_at timestamptz not null default now();

drop trigger if exists tracks_set_updated_at on public.tracks;
create trigger tracks_set_updated_at
  before update of title, description, file_url, is_public on public.tracks
  for each row execute function public.set_updated_at();

-- Tracks of private posts are about to arrive: close the old, open policy before they do.
drop policy if exists "Tracks are viewable by everyone" on public.tracks;
drop policy if exists "Public tracks are viewable by everyone" on public.tracks;
create policy "Public tracks are viewable by everyone"
  on public.tracks for select to anon, authenticated
  using (is_public or user_id = (select auth.uid()));

alter table public.posts add column if not exists track_id uuid;

create index if not exists idx_posts_track_id on public.posts (track_id);

-- Not validated yet, so that the table is not scanned under a lock; step 4 validates it.
do $$
begin
  if not exists (
    select 1 from pg_constraint
    where conname = 'posts_track_id_fkey' and conrelid = 'public.posts'::regclass
  ) then
    alter table public.posts
      add constraint posts_track_id_fkey
      foreign key (track_id) references public.tracks (id)
      not valid;
  end if;
end;
$$;

comment on column public.posts.track_id is 'The track that an audio post plays.';

do $$
begin
  if not exists (
    select 1 from information_schema.columns
    where table_schema = 'public' and table_name = 'posts' and column_name = 'track_id' and data_type = 'uuid'
  ) then
    raise exception 'posts.track_id is missing or is no uuid';
  end if;
  raise notice 'Prepared: posts.track_id, idx_posts_track_id and posts_track_id_fkey are in place';
end;
$$;
