-- Why: a publication of a role that we cannot act for has tables of the application: a table made again is out of it, and only
--   that role can put it back; all else comes back.
-- Wild: publications that a warehouse or a search index made for itself.
-- Differs: publication member:theirs.public.rooms is missing
-- [before]
CREATE TABLE public.rooms (id int PRIMARY KEY, name text);
CREATE TABLE public.other (id int PRIMARY KEY);
INSERT INTO public.rooms VALUES (1, 'a');
-- [before as supabase_admin]
CREATE PUBLICATION theirs FOR TABLE public.rooms;
-- [migration]
ALTER TABLE public.rooms DROP COLUMN name;
