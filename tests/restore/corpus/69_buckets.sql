-- Why: buckets are rows of a table that belongs to Storage, which no backup of the application's schemas holds.
-- Wild: nearly every project makes its buckets in migrations.
-- [before]
INSERT INTO storage.buckets (id, name, public, file_size_limit, allowed_mime_types)
VALUES ('kept', 'kept', true, 1000, '{image/png,"a, b"}'), ('gone', 'gone', NULL, NULL, NULL), ('it''s "odd" %s', 'odd', false, 0, '{}');
INSERT INTO storage.objects (bucket_id, name) VALUES ('kept', 'a/file.png');
CREATE POLICY reads ON storage.objects FOR SELECT USING (bucket_id = 'kept');
-- [migration]
INSERT INTO storage.buckets (id, name, public) VALUES ('kept', 'kept', false), ('new', 'new', true)
ON CONFLICT (id) DO UPDATE SET public = EXCLUDED.public, allowed_mime_types = '{text/plain}';
CREATE POLICY writes ON storage.objects FOR INSERT WITH CHECK (bucket_id = 'new');
-- [migration]
DO $$ BEGIN
  PERFORM set_config('storage.allow_delete_query', 'true', true);
  DELETE FROM storage.buckets WHERE id = 'gone';
  BEGIN
    INSERT INTO storage.buckets (id, name) VALUES ('newer', 'newer');
  EXCEPTION WHEN unique_violation THEN NULL;
  END;
  UPDATE storage.buckets SET name = 'other' WHERE id LIKE 'it%';
END $$;
