-- Why: partitions by range, list and hash, partitions of partitions, a default one, one in another schema, one attached with
--   its columns in another order, indexes and keys of the parent and of one partition only, one detached by the migration.
-- Wild: event tables by month.
-- [before]
CREATE SCHEMA archive;
CREATE TABLE public.events (id bigint NOT NULL, at date NOT NULL, kind text DEFAULT 'x', n int, PRIMARY KEY (id, at, kind)) PARTITION BY RANGE (at);
CREATE TABLE public.events_2025 PARTITION OF public.events FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
CREATE TABLE public.events_2026 PARTITION OF public.events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01') PARTITION BY LIST (kind);
CREATE TABLE public.events_2026_a PARTITION OF public.events_2026 FOR VALUES IN ('a', 'b');
CREATE TABLE public.events_2026_rest PARTITION OF public.events_2026 (CHECK (n < 1000), n DEFAULT 7) DEFAULT PARTITION BY HASH (id);
CREATE TABLE public.events_h0 PARTITION OF public.events_2026_rest FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE archive.events_h1 PARTITION OF public.events_2026_rest FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE public.events_later (n int, kind text, at date NOT NULL, gone int, id bigint NOT NULL);
ALTER TABLE public.events_later DROP COLUMN gone;
ALTER TABLE public.events_later ALTER COLUMN kind SET NOT NULL;
ALTER TABLE public.events ATTACH PARTITION public.events_later DEFAULT;
CREATE INDEX events_n ON public.events (n);
CREATE INDEX only_2025 ON public.events_2025 (lower(kind));
CREATE TABLE public.notes (id bigint, at date, kind text, FOREIGN KEY (id, at, kind) REFERENCES public.events ON DELETE CASCADE);
CREATE FUNCTION public.noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER every AFTER INSERT ON public.events FOR EACH ROW EXECUTE FUNCTION public.noop();
ALTER TABLE public.events_2025 DISABLE TRIGGER every;
INSERT INTO public.events SELECT n, '2025-06-01'::date + 20 * n, (ARRAY['a', 'b', 'c', 'd'])[1 + n % 4], n FROM generate_series(1, 40) n;
INSERT INTO public.notes SELECT id, at, kind FROM public.events WHERE id < 20;
COMMENT ON TABLE public.events_2026_rest IS 'the rest';
-- [migration]
ALTER TABLE public.notes DROP CONSTRAINT notes_id_at_kind_fkey;
ALTER TABLE public.events DETACH PARTITION public.events_2025;
DROP TABLE public.events_2026;
UPDATE public.events SET n = -n;
-- [migration]
CREATE TABLE public.events_new PARTITION OF public.events FOR VALUES FROM ('2030-01-01') TO ('2031-01-01');
ALTER TABLE public.events ADD COLUMN more text;
DROP INDEX public.events_n;
