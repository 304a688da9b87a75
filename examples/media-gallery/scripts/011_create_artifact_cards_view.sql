-- What the overview shows: a title and the first picture.

create or replace view public.artifact_cards
with (security_invoker = true)
as
select
  a.id,
  a.slug,
  a.title,
  a.collection_id,
  a.media_urls[1] as thumbnail_url,
  coalesce(cardinality(a.media_urls), 0) as media_count,
  a.created_at
from public.artifacts a;
