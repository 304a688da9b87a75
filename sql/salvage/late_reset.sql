-- The restore goes on with its own settings (one script).
SET LOCAL search_path = '';
SET LOCAL row_security = DEFAULT;
SET LOCAL datestyle = DEFAULT;
SET LOCAL intervalstyle = DEFAULT;
SET LOCAL bytea_output = DEFAULT;
SET LOCAL extra_float_digits = DEFAULT;
SET LOCAL xmloption = DEFAULT
