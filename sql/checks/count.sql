-- How many rows a table holds.
SELECT count(*) AS rows FROM {table}
