-- Why: rows name large objects, which lie in no schema; they stay, and the names must still fit.
-- Wild: no; old file uploads.
-- [before]
CREATE TABLE public.uploads (id int PRIMARY KEY, content oid);
INSERT INTO public.uploads VALUES (1, lo_from_bytea(424242, 'hello')), (2, NULL);
-- [migration]
UPDATE public.uploads SET content = NULL;
ALTER TABLE public.uploads DROP COLUMN content;
