-- One table's own rows, without those of tables that inherit from it.
SELECT count(*) AS rows FROM ONLY {table}
