-- Behind restore/begin, where tables are loaded ahead (one script). Several sort at once: each has its share of memory, and no
-- workers beside it. They lock nothing but what is loaded, so none waits for others than themselves.
SET LOCAL lock_timeout = 0;
SET LOCAL xmloption = 'content';
SET LOCAL max_parallel_maintenance_workers = 0;
DO $share$
BEGIN
  PERFORM pg_catalog.set_config('maintenance_work_mem', greatest(
    65536, pg_catalog.pg_size_bytes(pg_catalog.current_setting('maintenance_work_mem')) / 1024 / %(jobs)s
  ) || 'kB', true);
END
$share$;
