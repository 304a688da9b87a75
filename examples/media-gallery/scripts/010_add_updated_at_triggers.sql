-- updated_at, kept by the database.

create or replace function public.touch_updated_at()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.updated_at := now();
  return new;
end;
$$;

create or replace trigger profiles_touch_updated_at
  before update on public.profiles
  for each row execute function public.touch_updated_at();

create or replace trigger collections_touch_updated_at
  before update on public.collections
  for each row execute function public.touch_updated_at();

create or replace trigger artifacts_touch_updated_at
  before update on public.artifacts
  for each row execute function public.touch_updated_at();
