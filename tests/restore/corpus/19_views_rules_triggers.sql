-- Why: recursive views, views with options, INSTEAD OF triggers, rules of every kind (also with several actions), rules and
--   triggers that are disabled, defaults of a view's columns, a view that a function returns and that calls the function.
-- Wild: API schemas made of views.
-- [before]
CREATE TABLE public.nodes (id int PRIMARY KEY, parent int REFERENCES public.nodes, name text);
INSERT INTO public.nodes SELECT n, nullif(n / 2, 0), 'n' || n FROM generate_series(1, 15) n;
CREATE RECURSIVE VIEW tree (id, depth, path) AS
  SELECT id, 0, ARRAY[id] FROM public.nodes WHERE parent IS NULL
  UNION ALL SELECT n.id, t.depth + 1, t.path || n.id FROM public.nodes n JOIN tree t ON n.parent = t.id;
CREATE VIEW public.roots WITH (security_invoker = true, security_barrier) AS SELECT id, name FROM public.nodes WHERE id < 4 WITH LOCAL CHECK OPTION;
ALTER VIEW public.roots ALTER COLUMN name SET DEFAULT 'none';
CREATE VIEW public.api AS SELECT id AS "Id", name FROM public.nodes;
CREATE FUNCTION public.into_api() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.nodes VALUES (NEW."Id", NULL, NEW.name); RETURN NEW; END $$;
CREATE TRIGGER into_api INSTEAD OF INSERT ON public.api FOR EACH ROW EXECUTE FUNCTION public.into_api();
CREATE TABLE public.log (at timestamptz DEFAULT '2026-01-01', what text);
CREATE RULE noted AS ON UPDATE TO public.nodes WHERE NEW.name <> OLD.name DO ALSO (INSERT INTO public.log (what) VALUES (OLD.name); INSERT INTO public.log (what) VALUES (NEW.name));
CREATE RULE kept AS ON DELETE TO public.nodes DO INSTEAD NOTHING;
ALTER TABLE public.nodes DISABLE RULE noted;
COMMENT ON RULE kept ON public.nodes IS 'never delete';
CREATE FUNCTION public.noop() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER t1 BEFORE INSERT OR UPDATE OF name ON public.nodes FOR EACH ROW WHEN (NEW.name <> 'x') EXECUTE FUNCTION public.noop('a', 'it''s');
CREATE TRIGGER t2 AFTER UPDATE ON public.nodes REFERENCING OLD TABLE AS o NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION public.noop();
CREATE TRIGGER t3 BEFORE TRUNCATE ON public.nodes EXECUTE FUNCTION public.noop();
ALTER TABLE public.nodes ENABLE REPLICA TRIGGER t1;
ALTER TABLE public.nodes ENABLE ALWAYS TRIGGER t2;
ALTER TABLE public.nodes DISABLE TRIGGER t3;
COMMENT ON TRIGGER t2 ON public.nodes IS 'all';
CREATE VIEW public.loop AS SELECT 1 AS one;
CREATE FUNCTION public.looped() RETURNS SETOF public.loop LANGUAGE plpgsql AS 'BEGIN RETURN QUERY SELECT 1; END';
CREATE OR REPLACE VIEW public.loop AS SELECT (SELECT count(*)::int FROM public.looped()) AS one;
-- [migration]
DROP RULE kept ON public.nodes;
DELETE FROM public.nodes WHERE id > 7;
CREATE OR REPLACE VIEW public.roots AS SELECT id, name, parent FROM public.nodes;
ALTER VIEW public.roots SET (security_invoker = false);
ALTER TABLE public.nodes ENABLE TRIGGER t3, ENABLE RULE noted;
-- [migration]
DROP VIEW public.tree;
DROP VIEW public.api CASCADE;
ALTER TRIGGER t1 ON public.nodes RENAME TO t4;
DROP FUNCTION public.looped() CASCADE;
CREATE RULE other AS ON INSERT TO public.log DO NOTHING;
