-- Make a server, a wrapper or a user mapping, or give the one that is there the options that it should have.
DO {tag} DECLARE
  present text[];
  there boolean;
  changes text;
BEGIN
  EXECUTE %(present_sql)s INTO there, present;
  SELECT string_agg(CASE
      WHEN w.option_name IS NULL THEN format('DROP %%I', p.option_name)
      WHEN p.option_name IS NULL THEN format('%%I %%L', w.option_name, w.option_value)
      ELSE format('SET %%I %%L', w.option_name, w.option_value)
    END, ', ') INTO changes
  FROM pg_catalog.pg_options_to_table(%(options)s) AS w
  FULL JOIN pg_catalog.pg_options_to_table(present) AS p ON p.option_name OPERATOR(pg_catalog.=) w.option_name
  WHERE w.option_value IS DISTINCT FROM p.option_value;
  IF there IS NULL THEN
    EXECUTE concat(%(create_sql)s, ' OPTIONS (' || changes || ')');
  ELSIF changes IS NOT NULL OR %(alter_sql)s NOT LIKE 'ALTER USER MAPPING %%' THEN
    EXECUTE concat(%(alter_sql)s, ' OPTIONS (' || changes || ')');
  END IF;
END {tag}
