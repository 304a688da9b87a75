-- Why: names that need quotes: mixed case, spaces, quotes, dots, semicolons, percent signs, braces, backslashes, dashes,
--   keywords, other scripts, and the full 63 bytes.
-- Wild: Prisma's "User" and "_prisma_migrations"; Hasura; names from spreadsheets.
-- [before]
CREATE SCHEMA "My Schema";
CREATE SCHEMA "select";
CREATE TABLE "My Schema"."Table; DROP" ("a b" int CONSTRAINT "pk -- x" PRIMARY KEY, "c""d" text, "per%cent" text, "{brace}" text, "back\slash" text, "sélection 中文" text, "user" text);
CREATE TABLE public."User" (id serial PRIMARY KEY, "order" int DEFAULT 1);
CREATE TABLE public."a.b" ("x.y" int REFERENCES public."User" (id));
CREATE TABLE public."it's" ("it's" text DEFAULT 'it''s');
CREATE TABLE "select"."table" ("column" int, "from" text);
CREATE TABLE public.long_name_long_name_long_name_long_name_long_name_long_name_123 (id serial PRIMARY KEY, also_a_very_long_column_name_that_fills_all_of_its_sixty_three_b int);
CREATE INDEX "Index; 'x' %s" ON "My Schema"."Table; DROP" ("c""d", "{brace}");
CREATE VIEW "My Schema"."view {0} %(x)s" AS SELECT "a b" AS "A B", "per%cent" FROM "My Schema"."Table; DROP";
CREATE FUNCTION "My Schema"."f %s"("arg one" int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TYPE public."Enum.Type" AS ENUM ('a b', 'c"d', '{e}', '%s');
CREATE TABLE public."ütf" (e public."Enum.Type"[] DEFAULT ARRAY['c"d']::public."Enum.Type"[]);
CREATE TRIGGER "tr; 1" BEFORE UPDATE ON "My Schema"."Table; DROP" FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger();
CREATE POLICY "pol -- 'x' ""y""" ON public."User" USING ("order" > 0);
COMMENT ON TABLE "My Schema"."Table; DROP" IS 'x';
GRANT SELECT ("per%cent") ON "My Schema"."Table; DROP" TO anon;
INSERT INTO "My Schema"."Table; DROP" VALUES (1, '2', '3%', '{4}', E'5\\', '中', 'u');
INSERT INTO public."User" DEFAULT VALUES;
INSERT INTO public."a.b" VALUES (1);
INSERT INTO public."ütf" DEFAULT VALUES;
ALTER PUBLICATION supabase_realtime ADD TABLE "My Schema"."Table; DROP" ("a b", "per%cent");
-- [migration]
DROP TABLE "My Schema"."Table; DROP" CASCADE;
ALTER TABLE public."User" RENAME TO users;
ALTER TABLE public."a.b" RENAME COLUMN "x.y" TO xy;
-- [migration]
DROP SCHEMA "select" CASCADE;
CREATE SCHEMA "New {x} %s";
CREATE TABLE "New {x} %s"."t %(y)s" (id int);
DROP TABLE public."it's", public."ütf";
ALTER TYPE public."Enum.Type" RENAME VALUE '%s' TO '%%';
