-- Why: 500 tables with keys, indexes and foreign keys need more locks than a small server has for one transaction.
-- Wild: projects of 546 migrations with thousands of objects.
-- [before]
DO $$
BEGIN
  FOR n IN 1 .. 500 LOOP
    EXECUTE format('CREATE TABLE public.t%s (id int PRIMARY KEY, other int %s, body text)', n,
      CASE WHEN n > 1 THEN format('REFERENCES public.t%s', n / 2 + 1) END);
    EXECUTE format('INSERT INTO public.t%s VALUES (1, 1, ''x'')', n);
    IF n % 50 = 0 THEN COMMIT; END IF;
  END LOOP;
END $$;
-- [migration]
DROP TABLE public.t2 CASCADE;
ALTER TABLE public.t100 ADD COLUMN extra int;
UPDATE public.t300 SET body = 'y';
CREATE TABLE public.t501 (id int);
