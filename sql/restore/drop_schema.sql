-- A schema that the deploy made; it is empty by now.
DROP SCHEMA {schema}
