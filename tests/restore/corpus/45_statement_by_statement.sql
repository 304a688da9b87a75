-- Why: files that run statement by statement: indexes made concurrently, own transactions, one half applied.
-- Wild: 11.8 % of files hold their own BEGIN and COMMIT.
-- Strategy: statement
-- Fails: no
-- [before]
CREATE TABLE public.t (id int PRIMARY KEY, body text, n int);
INSERT INTO public.t SELECT n, 'b' || n, n % 3 FROM generate_series(1, 30) n;
CREATE INDEX t_n ON public.t (n);
-- [migration]
CREATE INDEX CONCURRENTLY t_body ON public.t (body);
DROP INDEX CONCURRENTLY public.t_n;
UPDATE public.t SET body = upper(body);
-- [migration]
BEGIN;
DELETE FROM public.t WHERE id > 20;
ALTER TABLE public.t RENAME TO u;
COMMIT;
CREATE UNIQUE INDEX CONCURRENTLY u_n ON public.u (n);
