-- Why: a trigger of a partitioned table is on each partition too, as a copy that comes with it; one copy may be disabled.
-- Wild: audit triggers on partitioned event tables.
-- [before]
CREATE FUNCTION public.noop() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE TABLE public.events (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE public.events_old PARTITION OF public.events FOR VALUES FROM ('2020-01-01') TO ('2026-01-01') PARTITION BY LIST (id);
CREATE TABLE public.events_old_1 PARTITION OF public.events_old FOR VALUES IN (1);
CREATE TABLE public.events_new PARTITION OF public.events DEFAULT;
CREATE TRIGGER every AFTER INSERT ON public.events FOR EACH ROW EXECUTE FUNCTION public.noop();
CREATE TRIGGER other AFTER UPDATE ON public.events FOR EACH ROW WHEN (NEW.id > 0) EXECUTE FUNCTION public.noop();
ALTER TABLE public.events_old_1 DISABLE TRIGGER every;
INSERT INTO public.events VALUES (1, '2025-01-01'), (2, '2026-02-01');
-- [migration]
DROP TRIGGER every ON public.events;
ALTER TABLE public.events DISABLE TRIGGER other;
-- [migration]
ALTER TABLE public.events DETACH PARTITION public.events_new;
INSERT INTO public.events_new VALUES (3, '2026-03-01');
