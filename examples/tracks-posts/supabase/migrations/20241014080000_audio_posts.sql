-- Audio posts: the file lies in the bucket `audio`, its facts in the post itself.

alter table public.posts
  add column audio_url text,
  add column audio_filename text,
  add column audio_mime_type text,
  add column audio_size_bytes bigint check (audio_size_bytes >= 0),
  add column audio_duration_seconds numeric(8, 2) check (audio_duration_seconds >= 0);

alter table public.posts
  drop constraint posts_post_type_check,
  add constraint posts_post_type_check check (post_type in ('text', 'image', 'audio'));

insert into storage.buckets (id, name, public)
values ('audio', 'audio', true)
on conflict (id) do nothing;

create policy "Audio files are readable by everyone"
  on storage.objects for select to anon, authenticated
  using (bucket_id = 'audio');

create policy "Users can upload audio to their own folder"
  on storage.objects for insert to authenticated
  with check (bucket_id = 'audio' and (storage.foldername(name))[1] = (select auth.uid())::text);

create policy "Users can delete their own audio"
  on storage.objects for delete to authenticated
  using (bucket_id = 'audio' and (storage.foldername(name))[1] = (select auth.uid())::text);
