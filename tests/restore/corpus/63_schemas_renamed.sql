-- Why: schemas are renamed that hold what only a superuser makes, and what another role has said of them; names are taken
--   by new schemas, and change hands.
-- Wild: api versions; and what no one can make again lies in any schema that Supabase's own roles have worked in.
-- [before]
CREATE SCHEMA api;
CREATE SCHEMA "Odd; name";
CREATE SCHEMA left_one;
CREATE SCHEMA right_one;
CREATE TABLE api.words (word text PRIMARY KEY);
CREATE TABLE api.big (id int PRIMARY KEY, body text);
CREATE VIEW "Odd; name".words AS SELECT word FROM api.words;
CREATE TABLE left_one.things (id int PRIMARY KEY, word text REFERENCES api.words);
CREATE TABLE right_one.things (id text PRIMARY KEY);
INSERT INTO api.words VALUES ('a'), ('b');
INSERT INTO api.big SELECT n, 'row ' || n FROM generate_series(1, 100) AS n;
INSERT INTO left_one.things VALUES (1, 'a');
INSERT INTO right_one.things VALUES ('one');
-- [before as supabase_admin]
GRANT USAGE ON SCHEMA api TO anon;
ALTER DEFAULT PRIVILEGES IN SCHEMA api GRANT SELECT ON TABLES TO anon;
CREATE FUNCTION api.theirs(a text, b text) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT length(a) - length(b)';
CREATE OPERATOR FAMILY api.by_length USING btree;
-- [migration]
ALTER SCHEMA api RENAME TO api_v1;
ALTER SCHEMA "Odd; name" RENAME TO plain;
CREATE SCHEMA api;
CREATE TABLE api.words (id int, word text REFERENCES api_v1.words);
INSERT INTO api_v1.words VALUES ('c');
INSERT INTO api.words VALUES (1, 'c');
-- [migration]
ALTER SCHEMA left_one RENAME TO for_now;
ALTER SCHEMA right_one RENAME TO left_one;
ALTER SCHEMA for_now RENAME TO right_one;
ALTER SCHEMA public RENAME TO old_public;
CREATE SCHEMA public;
DELETE FROM right_one.things;
