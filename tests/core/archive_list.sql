-- The database behind archive_list.txt: pg_dump --format=directory --large-objects --schema=public --schema='odd name',
-- then pg_restore --list --verbose.
CREATE SCHEMA "odd name";
CREATE TABLE "odd name"."a b" (id int PRIMARY KEY, "c d" text DEFAULT 'x');
CREATE TABLE public.p (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE public.p1 PARTITION OF public.p FOR VALUES FROM ('2020-01-01') TO ('2021-01-01');
CREATE TABLE public.p2 PARTITION OF public.p FOR VALUES FROM ('2021-01-01') TO ('2022-01-01');
CREATE INDEX p_at ON public.p (at);
COMMENT ON INDEX public.p_at IS 'of all partitions';
CREATE TABLE public.child (id serial PRIMARY KEY, pid int, at date, self int REFERENCES public.child,
    FOREIGN KEY (pid, at) REFERENCES public.p);
COMMENT ON CONSTRAINT child_pkey ON public.child IS 'its key';
COMMENT ON COLUMN public.child.pid IS 'its parent';
CREATE VIEW public.counted AS SELECT id, count(*) FROM public.child GROUP BY id;
CREATE VIEW public.grouped AS SELECT pid, at FROM public.child GROUP BY child.id;
CREATE TABLE public.of_view (x public.grouped);
CREATE MATERIALIZED VIEW public.kept AS SELECT * FROM public.counted;
CREATE UNIQUE INDEX kept_key ON public.kept (id);
CREATE DOMAIN public.small AS int CHECK (VALUE > 0);
ALTER DOMAIN public.small ADD CONSTRAINT below CHECK (VALUE < 100) NOT VALID;
CREATE RULE quiet AS ON DELETE TO public.child DO ALSO NOTHING;
CREATE FUNCTION public.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touch BEFORE UPDATE ON public.child FOR EACH ROW EXECUTE FUNCTION public.touch();
ALTER TABLE public.child ENABLE ROW LEVEL SECURITY;
CREATE POLICY all_of_them ON public.child USING (true);
CREATE STATISTICS public.child_stats ON pid, at FROM public.child;
CREATE TABLE public.g1 (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, other int);
CREATE TABLE public.g2 (id int PRIMARY KEY, other int REFERENCES public.g1, person uuid REFERENCES auth.users);
ALTER TABLE public.g1 ADD FOREIGN KEY (other) REFERENCES public.g2;
CREATE TABLE public.inherits () INHERITS (public.g1);
CREATE TABLE public.pc (id int, cid int REFERENCES public.child) PARTITION BY LIST (id);
CREATE TABLE public.pc1 PARTITION OF public.pc DEFAULT;
CREATE TABLE public.alone (id int PRIMARY KEY, child int);
SELECT lo_create(4711);
