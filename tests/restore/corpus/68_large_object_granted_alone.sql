-- Why: one that is made, then granted and given away by statements sent one by one, which write its entry under other ids.
-- Wild: no; found by the property test.
-- Strategy: statement
-- [before]
CREATE TABLE public.uploads (id int PRIMARY KEY);
-- [migration]
SELECT lo_create(424200), lo_create(424201);
DROP TABLE public.uploads;
GRANT SELECT ON LARGE OBJECT 424200 TO anon;
REVOKE SELECT ON LARGE OBJECT 424200 FROM anon;
ALTER LARGE OBJECT 424201 OWNER TO anon;
