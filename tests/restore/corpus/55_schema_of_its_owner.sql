-- Why: what a schema's owner may do in it is no grant to others; a schema that is made again gets the default privileges of schemas
--   along.
-- Wild: `DROP SCHEMA api CASCADE` before it is built anew.
-- [before]
ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO service_role;
CREATE SCHEMA api;
CREATE SCHEMA "Old & Empty";
GRANT USAGE ON SCHEMA api TO anon, authenticated WITH GRANT OPTION;
REVOKE USAGE ON SCHEMA api FROM service_role;
REVOKE ALL ON SCHEMA "Old & Empty" FROM service_role;
CREATE TABLE api.a (id serial PRIMARY KEY);
INSERT INTO api.a DEFAULT VALUES;
CREATE SCHEMA shut;
CREATE TABLE shut.b (id int);
CREATE SCHEMA closed;
CREATE TABLE closed.c (id int);
REVOKE ALL ON SCHEMA closed FROM postgres;
REVOKE CREATE ON SCHEMA shut FROM postgres;
REVOKE CREATE ON SCHEMA api FROM postgres;
-- [migration]
ALTER SCHEMA api RENAME TO v1;
DROP SCHEMA "Old & Empty";
GRANT ALL ON SCHEMA shut TO postgres WITH GRANT OPTION;
-- [migration]
DROP SCHEMA v1 CASCADE;
ALTER TABLE shut.b RENAME TO c;
GRANT USAGE ON SCHEMA closed TO postgres;
ALTER TABLE closed.c ADD COLUMN more int;
