-- Artifacts: the heirlooms. Their media is a plain list of URLs.

create table if not exists public.artifacts (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references public.profiles (id) on delete cascade,
  collection_id uuid references public.collections (id) on delete set null,
  title text not null check (char_length(title) between 1 and 200),
  description text,
  year_acquired integer check (year_acquired between 1000 and 2200),
  origin text,
  media_urls text[],
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create index if not exists idx_artifacts_user_id on public.artifacts (user_id, created_at desc);
create index if not exists idx_artifacts_collection_id on public.artifacts (collection_id);

alter table public.artifacts enable row level security;

-- Row level security of collections applies inside the subquery.
create policy "Artifacts are viewable by their owner, or with their collection"
  on public.artifacts for select to anon, authenticated
  using (
    user_id = (select auth.uid())
    or exists (select 1 from public.collections c where c.id = artifacts.collection_id and c.is_public)
  );

create policy "Users can create their own artifacts"
  on public.artifacts for insert to authenticated
  with check (user_id = (select auth.uid()));

create policy "Users can update their own artifacts"
  on public.artifacts for update to authenticated
  using (user_id = (select auth.uid()))
  with check (user_id = (select auth.uid()));

create policy "Users can delete their own artifacts"
  on public.artifacts for delete to authenticated
  using (user_id = (select auth.uid()));
