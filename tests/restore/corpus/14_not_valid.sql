-- Why: constraints that are NOT VALID stand beside rows that break them; a restore must not check them.
-- Wild: every careful migration leaves them for a while.
-- [before]
CREATE TABLE public.parents (id int PRIMARY KEY);
CREATE TABLE public.children (id int PRIMARY KEY, parent int, age int);
INSERT INTO public.parents VALUES (1);
INSERT INTO public.children VALUES (1, 1, 5), (2, 99, -1), (3, NULL, NULL);
ALTER TABLE public.children ADD CONSTRAINT parent FOREIGN KEY (parent) REFERENCES public.parents NOT VALID;
ALTER TABLE public.children ADD CONSTRAINT age CHECK (age > 0) NOT VALID;
COMMENT ON CONSTRAINT age ON public.children IS 'for new rows';
CREATE UNIQUE INDEX children_age ON public.children (age) NULLS NOT DISTINCT WHERE age > 0;
-- [migration]
UPDATE public.children SET age = id, parent = 1;
ALTER TABLE public.children VALIDATE CONSTRAINT parent;
ALTER TABLE public.children VALIDATE CONSTRAINT age;
-- [migration]
ALTER TABLE public.children ALTER COLUMN age SET NOT NULL;
