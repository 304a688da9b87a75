-- Why: a table that was attached to its parent afterwards has its columns in an order of its own; pg_dump writes it as if it
--   had been made as a child, and then the parent's columns come first.
-- Wild: no; old audit tables.
-- Differs: column:public.late.id is altered; column:public.late.own is altered;
--   table public.late has other content in its 1 rows
-- [before]
CREATE TABLE public.base (id int NOT NULL, made timestamptz);
CREATE TABLE public.late (own text, made timestamptz, id int NOT NULL);
ALTER TABLE public.late INHERIT public.base;
INSERT INTO public.late VALUES ('x', '2026-01-01', 1);
-- [migration]
ALTER TABLE public.base ADD COLUMN more int;
ALTER TABLE public.late DROP COLUMN own;
