-- Why: an extension that postgres made belongs to postgres; its comment is the application's to change.
-- Wild: no; found by the property test.
-- [before]
CREATE EXTENSION hstore WITH SCHEMA public;
CREATE TABLE public.t (id int, tags public.hstore);
-- [migration]
COMMENT ON EXTENSION hstore IS NULL;
DROP TABLE public.t;
