-- Run the statement, which is appended, and tell how.
EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON)
