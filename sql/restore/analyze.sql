-- Statistics for the planner: a restored table has none.
ANALYZE {table}
