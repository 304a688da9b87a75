-- Tracks: a first, narrow catalogue. The application reads it only on the artist page.

create table public.tracks (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references public.profiles (id) on delete cascade,
  title text not null,
  file_url text not null,
  created_at timestamptz not null default now()
);

alter table public.tracks enable row level security;

create policy "Tracks are viewable by everyone"
  on public.tracks for select to anon, authenticated
  using (true);

create policy "Users can create their own tracks"
  on public.tracks for insert to authenticated
  with check (user_id = (select auth.uid()));

create policy "Users can update their own tracks"
  on public.tracks for update to authenticated
  using (user_id = (select auth.uid()))
  with check (user_id = (select auth.uid()));

create policy "Users can delete their own tracks"
  on public.tracks for delete to authenticated
  using (user_id = (select auth.uid()));
