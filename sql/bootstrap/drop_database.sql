-- A database, with the sessions in it.
DROP DATABASE IF EXISTS {name} WITH (FORCE)
