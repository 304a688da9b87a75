-- Collections: a family's boxes of heirlooms.

create table if not exists public.collections (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references public.profiles (id) on delete cascade,
  title text not null check (char_length(title) between 1 and 200),
  description text,
  cover_image text,
  is_public boolean not null default false,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create index if not exists idx_collections_user_id on public.collections (user_id);

alter table public.collections enable row level security;

create policy "Collections are viewable by their owner, or by all if public"
  on public.collections for select to anon, authenticated
  using (is_public or user_id = (select auth.uid()));

create policy "Users can create their own collections"
  on public.collections for insert to authenticated
  with check (user_id = (select auth.uid()));

create policy "Users can update their own collections"
  on public.collections for update to authenticated
  using (user_id = (select auth.uid()))
  with check (user_id = (select auth.uid()));

create policy "Users can delete their own collections"
  on public.collections for delete to authenticated
  using (user_id = (select auth.uid()));
