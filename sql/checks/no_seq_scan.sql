-- Let the planner use a sequential scan only where nothing else is possible, so that a small table shows a missing index.
SET LOCAL enable_seqscan = off
