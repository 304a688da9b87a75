-- What a description or a transcript adds to an artifact.

alter table public.artifacts
  add column if not exists image_captions jsonb not null default '{}',
  add column if not exists transcript text,
  add column if not exists metadata jsonb not null default '{}';

create index if not exists idx_artifacts_metadata on public.artifacts using gin (metadata jsonb_path_ops);
