-- Why: large objects are made, unlinked, overwritten, cut, appended to, given away, granted, and told about.
-- Wild: no; old file uploads.
-- [before]
CREATE TABLE public.uploads (id int PRIMARY KEY, content oid);
INSERT INTO public.uploads SELECT n, lo_from_bytea((424200 + n)::oid, convert_to('file ' || n, 'UTF8'))
FROM generate_series(1, 9) AS n;
SELECT lo_put(424201, 0, convert_to(string_agg(md5(n::text), ''), 'UTF8')) FROM generate_series(1, 100000) AS n;
SELECT lo_put(424202, 5000000, 'behind a hole');
SELECT lo_create(424210);
GRANT SELECT ON LARGE OBJECT 424203 TO authenticated, PUBLIC;
GRANT UPDATE ON LARGE OBJECT 424203 TO service_role WITH GRANT OPTION;
ALTER LARGE OBJECT 424204 OWNER TO anon;
GRANT SELECT ON LARGE OBJECT 424204 TO postgres;
COMMENT ON LARGE OBJECT 424205 IS 'it''s the fifth \ one';
REVOKE ALL ON LARGE OBJECT 424206 FROM postgres;
GRANT SELECT ON LARGE OBJECT 424206 TO postgres;
-- [migration]
SELECT lo_unlink(oid) FROM pg_largeobject_metadata WHERE oid IN (424201, 424202, 424203, 424205, 424210);
SET ROLE anon;
SELECT lo_unlink(424204);
RESET ROLE;
SELECT lo_put(424207, 2, 'overwritten'), lo_put(424208, 3000000, 'longer');
SELECT lo_truncate(lo_open(424209, x'20000'::int), 2);
GRANT ALL ON LARGE OBJECT 424206 TO postgres;
GRANT SELECT ON LARGE OBJECT 424207 TO anon;
COMMENT ON LARGE OBJECT 424208 IS 'new';
SELECT lo_from_bytea(424300, 'new'), lo_from_bytea(0, 'new, too');
ALTER LARGE OBJECT 424300 OWNER TO anon;
DO $$ BEGIN PERFORM lo_from_bytea(424301, 'in a subtransaction'); EXCEPTION WHEN division_by_zero THEN NULL; END $$;
DELETE FROM public.uploads WHERE id < 4;
