-- Why: of large objects only owner, rights and comments change: a comment is in no table that has anything to do with them.
-- Wild: no.
-- [before]
SELECT lo_from_bytea(424200 + n, 'content') FROM generate_series(1, 4) AS n;
COMMENT ON LARGE OBJECT 424201 IS 'before';
GRANT SELECT ON LARGE OBJECT 424203 TO anon;
-- [migration]
COMMENT ON LARGE OBJECT 424201 IS NULL;
-- [migration]
COMMENT ON LARGE OBJECT 424202 IS 'after';
-- [migration]
REVOKE SELECT ON LARGE OBJECT 424203 FROM anon;
ALTER LARGE OBJECT 424204 OWNER TO anon;
