-- Why: replica identity by index, clustered index, unlogged tables, storage parameters, column storage, compression,
--   statistics targets, options of indexes, covering indexes, NULLS NOT DISTINCT.
-- Wild: realtime (replica identity), autovacuum settings of big tables.
-- [before]
CREATE TABLE public.t (id int NOT NULL, code text NOT NULL, body text, doc jsonb, PRIMARY KEY (id) INCLUDE (code)) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.01, toast.autovacuum_enabled = false);
CREATE UNIQUE INDEX t_code ON public.t (code) WITH (fillfactor = 50);
ALTER TABLE public.t REPLICA IDENTITY USING INDEX t_code, CLUSTER ON t_code;
ALTER TABLE public.t ALTER COLUMN body SET STORAGE EXTERNAL, ALTER COLUMN doc SET COMPRESSION pglz, ALTER COLUMN body SET STATISTICS 250, ALTER COLUMN code SET (n_distinct = -0.5);
CREATE INDEX t_body ON public.t USING gin (doc jsonb_path_ops) WITH (fastupdate = off);
CREATE INDEX t_expr ON public.t ((doc ->> 'a'), code DESC NULLS LAST);
ALTER INDEX public.t_expr ALTER COLUMN 1 SET STATISTICS 400;
CREATE UNIQUE INDEX t_nulls ON public.t (body) NULLS NOT DISTINCT;
CREATE INDEX t_brin ON public.t USING brin (id) WITH (pages_per_range = 4);
CREATE INDEX t_hash ON public.t USING hash (code);
CREATE UNLOGGED TABLE public.fast (id int PRIMARY KEY, b text);
CREATE TABLE public.unique_as (a int, b int);
CREATE UNIQUE INDEX ua ON public.unique_as (a, b);
ALTER TABLE public.unique_as ADD CONSTRAINT ua_key UNIQUE USING INDEX ua DEFERRABLE;
INSERT INTO public.t SELECT n, 'c' || n, 'b' || n, jsonb_build_object('a', n) FROM generate_series(1, 20) n;
INSERT INTO public.fast SELECT n, 'x' FROM generate_series(1, 5) n;
-- [migration]
ALTER TABLE public.t RESET (fillfactor, toast.autovacuum_enabled), SET WITHOUT CLUSTER, REPLICA IDENTITY DEFAULT;
ALTER TABLE public.t ALTER COLUMN body SET STORAGE PLAIN, ALTER COLUMN body SET STATISTICS -1, ALTER COLUMN code RESET (n_distinct);
ALTER TABLE public.fast SET LOGGED;
DROP INDEX public.t_nulls;
-- [migration]
ALTER INDEX public.t_code RESET (fillfactor);
ALTER INDEX public.t_expr RENAME TO t_expr2;
ALTER TABLE public.unique_as DROP CONSTRAINT ua_key;
ALTER TABLE public.t SET UNLOGGED;
CREATE INDEX t_more ON public.t (id) INCLUDE (body);
