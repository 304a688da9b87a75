-- Why: tables that inherit from one and from two, with merged columns, own defaults and constraints that are not inherited.
-- Wild: audit columns inherited from a base table.
-- [before]
CREATE TABLE public.base (id int NOT NULL DEFAULT 1, made timestamptz DEFAULT '2026-01-01', CHECK (id > 0), CONSTRAINT own CHECK (id < 1000) NO INHERIT);
CREATE TABLE public.named (name text DEFAULT 'n', id int);
CREATE TABLE public.child (extra text) INHERITS (public.base);
CREATE TABLE public.both (id int DEFAULT 5, z int) INHERITS (public.base, public.named);
CREATE TABLE public.grandchild () INHERITS (public.child);
CREATE TABLE public.late (id int NOT NULL, made timestamptz, CONSTRAINT base_id_check CHECK (id > 0));
ALTER TABLE public.late INHERIT public.base;
ALTER TABLE public.child ALTER COLUMN made SET DEFAULT '2020-01-01';
INSERT INTO public.base SELECT n FROM generate_series(1, 3) n;
INSERT INTO public.child SELECT n, now(), 'c' FROM generate_series(4, 6) n;
INSERT INTO public.both (id, z) VALUES (7, 7);
INSERT INTO public.grandchild (id) VALUES (8);
-- [migration]
ALTER TABLE public.late NO INHERIT public.base;
ALTER TABLE public.base ADD COLUMN more int DEFAULT 3;
UPDATE public.base SET made = NULL;
-- [migration]
ALTER TABLE public.base DROP CONSTRAINT base_id_check CASCADE;
DROP TABLE public.named CASCADE;
DELETE FROM ONLY public.base;
ALTER TABLE public.base RENAME COLUMN made TO created;
