-- Why: an index that CREATE INDEX CONCURRENTLY left invalid is in no dump; a deploy must neither repair nor lose it unsaid.
-- Wild: after every failed CREATE UNIQUE INDEX CONCURRENTLY.
-- Loses (rung 4): missing: invalid index public.broken
-- [before]
CREATE TABLE public.t (id int, body text);
INSERT INTO public.t VALUES (1, 'a'), (1, 'b');
-- [before as supabase_admin]
CREATE UNIQUE INDEX broken ON public.t (id, body);
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'public.broken'::regclass;
-- [migration]
ALTER TABLE public.t ADD COLUMN c int;
