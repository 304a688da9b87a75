-- For this transaction: rows are read whole or not at all, and written so that they can be read under any setting, as
-- pg_dump does it (one script).
SET LOCAL search_path = pg_catalog;
SET LOCAL row_security = off;
SET LOCAL datestyle = 'ISO';
SET LOCAL intervalstyle = 'postgres';
SET LOCAL bytea_output = 'hex';
SET LOCAL extra_float_digits = 1;
SET LOCAL xmloption = 'content'
