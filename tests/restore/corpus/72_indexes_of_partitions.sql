-- Why: rows of one partition are written to, whose indexes are the partitioned table's; of another table the partitions'
--   own names of a primary key, a unique one, an index and a foreign key change: none of these can be dropped by itself.
-- Wild: partitioned event tables of applications.
-- [before]
CREATE TABLE public.shops (id int PRIMARY KEY);
INSERT INTO public.shops VALUES (1), (2);
CREATE TABLE public.events (id bigint GENERATED ALWAYS AS IDENTITY, at date NOT NULL, kind text, PRIMARY KEY (id, at))
  PARTITION BY RANGE (at);
CREATE TABLE public.events_2026 PARTITION OF public.events FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE TABLE public.events_rest PARTITION OF public.events DEFAULT;
CREATE INDEX events_kind ON public.events (kind);
CREATE INDEX only_2026 ON public.events_2026 (upper(kind));
INSERT INTO public.events (at, kind) SELECT '2025-12-01'::date + n, 'kind ' || n FROM generate_series(1, 60) AS n;
CREATE TABLE public.orders (shop int REFERENCES public.shops, number int, note text, PRIMARY KEY (shop, number),
  UNIQUE NULLS NOT DISTINCT (shop, note)) PARTITION BY LIST (shop);
CREATE TABLE public.orders_1 PARTITION OF public.orders FOR VALUES IN (1);
CREATE TABLE public.orders_2 PARTITION OF public.orders FOR VALUES IN (2);
CREATE INDEX orders_note ON public.orders (lower(note));
CREATE TABLE public.lines (shop int, number int, FOREIGN KEY (shop, number) REFERENCES public.orders ON DELETE CASCADE);
INSERT INTO public.orders SELECT 1 + n % 2, n, 'note ' || n FROM generate_series(1, 20) AS n;
INSERT INTO public.lines SELECT shop, number FROM public.orders;
-- [migration]
DELETE FROM public.events_2026 WHERE id > 30;
ALTER TABLE public.orders_1 RENAME CONSTRAINT orders_1_pkey TO orders_one_key;
ALTER INDEX public.orders_2_shop_note_key RENAME TO two_notes;
ALTER INDEX public.orders_2_lower_idx RENAME TO two_lower;
-- [migration]
ALTER TABLE public.orders_1 RENAME CONSTRAINT orders_shop_fkey TO one_shop;
UPDATE public.orders SET note = 'other ' || number WHERE shop = 2;
