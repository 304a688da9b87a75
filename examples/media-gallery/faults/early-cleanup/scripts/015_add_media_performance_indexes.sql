-- Composite indexes for the gallery and the media picker, and updated_at. Can be run again.

-- The picker: one user's media of one type, newest first.
create index if not exists idx_user_media_user_type_created
  on public.user_media (user_id, media_type, created_at desc);

-- The gallery: one artifact's media of one role, in order.
create index if not exists idx_artifact_media_artifact_role_order
  on public.artifact_media (artifact_id, role, sort_order);

create or replace function public.update_user_media_updated_at()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.updated_at := now();
  return new;
end;
$$;

create or replace trigger user_media_updated_at_trigger
  before update on public.user_media
  for each row execute function public.update_user_media_updated_at();

create or replace function public.update_artifact_media_updated_at()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.updated_at := now();
  return new;
end;
$$;

create or replace trigger artifact_media_updated_at_trigger
  before update on public.artifact_media
  for each row execute function public.update_artifact_media_updated_at();

-- The new tables hold everything now.
update public.artifacts set media_urls = null where media_urls is not null;
