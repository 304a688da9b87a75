-- Posts: what people share, first as text and images.

create table public.posts (
  id uuid primary key default gen_random_uuid(),
  user_id uuid not null references public.profiles (id) on delete cascade,
  post_type text not null default 'text',
  title text,
  content text not null default '',
  image_url text,
  is_public boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint posts_post_type_check check (post_type in ('text', 'image'))
);

create index idx_posts_user_id on public.posts (user_id, created_at desc);

alter table public.posts enable row level security;

create policy "Public posts are viewable by everyone"
  on public.posts for select to anon, authenticated
  using (is_public or user_id = (select auth.uid()));

create policy "Users can create their own posts"
  on public.posts for insert to authenticated
  with check (user_id = (select auth.uid()));

create policy "Users can update their own posts"
  on public.posts for update to authenticated
  using (user_id = (select auth.uid()))
  with check (user_id = (select auth.uid()));

create policy "Users can delete their own posts"
  on public.posts for delete to authenticated
  using (user_id = (select auth.uid()));

-- Only what a person edits counts as an update.
create trigger posts_set_updated_at
  before update of title, content, image_url, is_public on public.posts
  for each row execute function public.set_updated_at();

alter publication supabase_realtime add table public.posts;
