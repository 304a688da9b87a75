-- Full text search over posts.

alter table public.posts
  add column search tsvector
  generated always as (to_tsvector('simple'::regconfig, coalesce(title, '') || ' ' || content)) stored;

create index idx_posts_search on public.posts using gin (search);

create function public.search_posts(p_query text, p_limit integer default 20)
returns setof public.posts
language sql
stable
set search_path = ''
as $$
  select p.*
  from public.posts p
  where p.search @@ websearch_to_tsquery('simple'::regconfig, p_query)
  order by p.created_at desc
  limit least(p_limit, 100);
$$;

-- What the feed shows of each post.
create view public.post_feed
with (security_invoker = true)
as
select
  p.id,
  p.post_type,
  p.title,
  p.content,
  p.image_url,
  p.audio_url,
  p.created_at,
  u.username,
  (select count(*) from public.likes l where l.post_id = p.id) as like_count,
  (select count(*) from public.comments c where c.post_id = p.id) as comment_count
from public.posts p
join public.profiles u on u.id = p.user_id;
