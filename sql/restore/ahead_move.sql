-- A table that was loaded ahead comes to its place, with keys and indexes (one script).
ALTER TABLE {alias} SET SCHEMA {schema};
ALTER TABLE {schema}.{bare} RENAME TO {own};
