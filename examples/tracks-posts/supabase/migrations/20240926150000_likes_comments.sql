-- Likes and comments.

create table public.likes (
  post_id uuid not null references public.posts (id) on delete cascade,
  user_id uuid not null references public.profiles (id) on delete cascade,
  created_at timestamptz not null default now(),
  primary key (post_id, user_id)
);

create index idx_likes_user_id on public.likes (user_id);

create table public.comments (
  id bigint generated always as identity primary key,
  post_id uuid not null references public.posts (id) on delete cascade,
  user_id uuid not null references public.profiles (id) on delete cascade,
  body text not null check (char_length(body) between 1 and 2000),
  created_at timestamptz not null default now()
);

create index idx_comments_post_id on public.comments (post_id, created_at);
create index idx_comments_user_id on public.comments (user_id);

alter table public.likes enable row level security;
alter table public.comments enable row level security;

-- Row level security of posts applies inside these subqueries: who cannot see a post sees nothing of it.
create policy "Likes are viewable with their post"
  on public.likes for select to anon, authenticated
  using (exists (select 1 from public.posts where posts.id = likes.post_id));

create policy "Users can like posts they can see"
  on public.likes for insert to authenticated
  with check (
    user_id = (select auth.uid())
    and exists (select 1 from public.posts where posts.id = likes.post_id)
  );

create policy "Users can take back their likes"
  on public.likes for delete to authenticated
  using (user_id = (select auth.uid()));

create policy "Comments are viewable with their post"
  on public.comments for select to anon, authenticated
  using (exists (select 1 from public.posts where posts.id = comments.post_id));

create policy "Users can comment on posts they can see"
  on public.comments for insert to authenticated
  with check (
    user_id = (select auth.uid())
    and exists (select 1 from public.posts where posts.id = comments.post_id)
  );

create policy "Users can delete their own comments"
  on public.comments for delete to authenticated
  using (user_id = (select auth.uid()));
