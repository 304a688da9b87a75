-- Why: the realtime publication names tables, column lists and row filters; a table that is dropped leaves it.
-- Wild: every project that uses Realtime.
-- [before]
CREATE TABLE public.rooms (id int PRIMARY KEY, name text, secret text, open boolean DEFAULT true);
CREATE TABLE public.messages (id bigint PRIMARY KEY, room int REFERENCES public.rooms, body text);
ALTER TABLE public.messages REPLICA IDENTITY FULL;
CREATE TABLE public."Odd Name" (id int PRIMARY KEY);
CREATE TABLE public.parted (id int PRIMARY KEY) PARTITION BY RANGE (id);
CREATE TABLE public.parted_1 PARTITION OF public.parted FOR VALUES FROM (0) TO (10);
ALTER PUBLICATION supabase_realtime ADD TABLE public.rooms (id, name) , public.messages, public."Odd Name", public.parted;
CREATE PUBLICATION filtered FOR TABLE public.rooms (id, open) WHERE (id > 5 AND id < 100) WITH (publish = 'insert, update');
COMMENT ON PUBLICATION filtered IS 'it''s filtered';
INSERT INTO public.rooms SELECT n, 'room ' || n, 's' FROM generate_series(1, 9) n;
-- [before as supabase_admin]
CREATE PUBLICATION everything FOR TABLES IN SCHEMA public WITH (publish_via_partition_root = true);
-- [migration]
ALTER PUBLICATION supabase_realtime DROP TABLE public.rooms;
ALTER PUBLICATION filtered SET TABLE public.rooms WHERE (id > 7);
ALTER PUBLICATION filtered SET (publish = 'insert, update, delete, truncate');
ALTER TABLE public.messages REPLICA IDENTITY NOTHING;
DROP TABLE public."Odd Name";
-- [migration]
CREATE TABLE public.extra (id int PRIMARY KEY);
ALTER PUBLICATION supabase_realtime ADD TABLE public.extra;
CREATE PUBLICATION more FOR TABLE public.extra;
ALTER TABLE public.rooms DROP COLUMN secret;
DROP TABLE public.parted;
