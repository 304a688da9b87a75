-- How the statement, which is appended, would be run.
EXPLAIN (FORMAT JSON)
