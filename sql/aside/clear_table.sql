-- Rows that a restore put into a table that had none.
DELETE FROM {table}
