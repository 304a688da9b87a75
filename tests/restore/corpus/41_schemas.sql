-- Why: whole schemas are dropped, renamed and made; things move between schemas; one schema is empty.
-- Wild: private and api schemas.
-- [before]
CREATE SCHEMA private;
COMMENT ON SCHEMA private IS 'hidden';
CREATE SCHEMA hollow;
GRANT USAGE ON SCHEMA hollow TO anon;
CREATE SCHEMA api;
CREATE TYPE private.kind AS ENUM ('a', 'b');
CREATE TABLE private.base (id int PRIMARY KEY, kind private.kind);
CREATE TABLE public.uses (id int REFERENCES private.base, kind private.kind DEFAULT 'a');
CREATE FUNCTION private.check_it(k private.kind) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
ALTER TABLE public.uses ADD CHECK (private.check_it(kind));
CREATE VIEW api.uses AS SELECT * FROM public.uses;
GRANT USAGE ON SCHEMA api TO anon;
INSERT INTO private.base VALUES (1, 'a');
INSERT INTO public.uses VALUES (1, 'b');
-- [migration]
ALTER TABLE private.base SET SCHEMA public;
ALTER SCHEMA api RENAME TO api_v1;
DROP SCHEMA hollow;
CREATE SCHEMA api;
CREATE VIEW api.uses AS SELECT 1 AS one;
-- [migration]
DROP SCHEMA private CASCADE;
CREATE SCHEMA private;
CREATE TABLE private.base (other text);
