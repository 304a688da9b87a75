-- Readable addresses: /artifacts/<slug>.

create or replace function public.slugify(p_text text)
returns text
language sql
immutable
strict
set search_path = ''
as $$
  select coalesce(nullif(trim(both '-' from regexp_replace(lower(p_text), '[^a-z0-9]+', '-', 'g')), ''), 'untitled');
$$;

alter table public.artifacts add column if not exists slug text;

update public.artifacts
set slug = public.slugify(title) || '-' || substr(id::text, 1, 8)
where slug is null;

create or replace function public.set_artifact_slug()
returns trigger
language plpgsql
set search_path = ''
as $$
begin
  new.slug := coalesce(new.slug, public.slugify(new.title) || '-' || substr(new.id::text, 1, 8));
  return new;
end;
$$;

drop trigger if exists artifacts_set_slug on public.artifacts;
create trigger artifacts_set_slug
  before insert on public.artifacts
  for each row execute function public.set_artifact_slug();

alter table public.artifacts alter column slug set not null;
create unique index if not exists idx_artifacts_slug on public.artifacts (slug);
