-- Let one big table be hashed by several workers, in this transaction only.
SET LOCAL max_parallel_workers_per_gather = 4
