-- Why: materialized views on views on functions on materialized views, with indexes, grants and comments; one never filled.
-- Wild: dashboards.
-- [before]
CREATE TABLE public.sales (id int PRIMARY KEY, day date, amount numeric);
INSERT INTO public.sales SELECT n, '2026-01-01'::date + n % 7, n * 1.10 FROM generate_series(1, 50) n;
CREATE FUNCTION public.rounded(x numeric) RETURNS numeric LANGUAGE sql IMMUTABLE AS 'SELECT round(x, 1)';
CREATE VIEW public.days AS SELECT day, public.rounded(sum(amount)) AS total FROM public.sales GROUP BY day;
CREATE MATERIALIZED VIEW public.days_kept AS SELECT * FROM public.days WHERE total > 5;
CREATE UNIQUE INDEX days_kept_key ON public.days_kept (day);
CREATE FUNCTION public.best() RETURNS SETOF public.days_kept LANGUAGE sql STABLE AS 'SELECT * FROM public.days_kept ORDER BY total DESC LIMIT 3';
CREATE VIEW public.best_days AS SELECT day FROM public.best();
CREATE MATERIALIZED VIEW public.best_kept AS SELECT b.day, d.total FROM public.best_days b JOIN public.days_kept d USING (day);
CREATE MATERIALIZED VIEW public.never AS SELECT * FROM public.best_kept WITH NO DATA;
CREATE INDEX ON public.never (day);
COMMENT ON MATERIALIZED VIEW public.best_kept IS 'best';
COMMENT ON COLUMN public.best_kept.day IS 'when';
REVOKE ALL ON public.best_kept FROM anon, authenticated;
ALTER MATERIALIZED VIEW public.days_kept SET (fillfactor = 70);
ALTER MATERIALIZED VIEW public.days_kept ALTER COLUMN total SET STATISTICS 500;
-- [migration]
DROP FUNCTION public.rounded(numeric) CASCADE;
UPDATE public.sales SET amount = 0;
-- [migration]
CREATE MATERIALIZED VIEW public.days_kept AS SELECT day FROM public.sales;
CREATE VIEW public.new AS SELECT * FROM public.days_kept;
