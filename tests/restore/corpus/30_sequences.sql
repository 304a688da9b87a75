-- Why: sequences that are owned, shared by two tables, unused, at their end, descending, cycling, of a small type, unlogged,
--   set back or renamed by the migration; one that a dropped column owned.
-- Wild: shared numbering of invoices.
-- [before]
CREATE SEQUENCE public.shared START 100 INCREMENT 5 CACHE 10;
CREATE TABLE public.a (id int DEFAULT nextval('public.shared') PRIMARY KEY);
CREATE TABLE public.b (id int DEFAULT nextval('public.shared'::regclass) PRIMARY KEY, n bigserial);
CREATE SEQUENCE public.unused;
CREATE SEQUENCE public.down INCREMENT -1 MAXVALUE 10 MINVALUE -10 START 5;
CREATE SEQUENCE public.tiny AS smallint MAXVALUE 3;
CREATE SEQUENCE public.round MAXVALUE 3 CYCLE;
CREATE UNLOGGED SEQUENCE public.quick;
CREATE SEQUENCE public.other OWNED BY public.a.id;
CREATE SEQUENCE public."per%cent {x}";
ALTER SEQUENCE public.b_n_seq RESTART 1000;
SELECT setval('public.unused', 7, false), nextval('public.tiny'), nextval('public.tiny'), nextval('public.tiny'), nextval('public.down');
SELECT nextval('public.round'), nextval('public.round'), nextval('public.quick'), nextval('public."per%cent {x}"');
INSERT INTO public.a SELECT FROM generate_series(1, 3);
INSERT INTO public.b SELECT FROM generate_series(1, 3);
GRANT USAGE ON SEQUENCE public.shared TO anon WITH GRANT OPTION;
-- [migration]
SELECT setval('public.shared', 1, false), setval('public.down', 10), setval('public.unused', 1, false);
ALTER SEQUENCE public.tiny AS int MAXVALUE 1000 RESTART;
ALTER SEQUENCE public.b_n_seq OWNED BY NONE;
ALTER TABLE public.b DROP COLUMN n;
DROP SEQUENCE public.b_n_seq;
-- [migration]
DROP SEQUENCE public.other;
ALTER SEQUENCE public.round RENAME TO square;
ALTER SEQUENCE public.quick SET LOGGED;
CREATE SEQUENCE public.fresh;
TRUNCATE public.a RESTART IDENTITY;
ALTER SEQUENCE public.shared CACHE 1 NO CYCLE MINVALUE -5;
