-- Who needs whom: the first three columns need the last three (PostgreSQL documentation, "pg_depend").
SELECT classid, objid, objsubid, refclassid, refobjid, refobjsubid, deptype::text FROM pg_depend
