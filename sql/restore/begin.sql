-- First part of the restore's transaction (one script). Replica: no trigger and no event trigger of the application fires.
-- Storage refuses DELETE on its tables without the last setting. What commits while locks are waited for is seen (late rows).
SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
SET LOCAL session_replication_role = replica;
SET LOCAL client_min_messages = warning;
SET LOCAL search_path = '';
SET LOCAL check_function_bodies = false; -- what a body names may not be there yet
SET LOCAL statement_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = 0;
SET LOCAL storage.allow_delete_query = 'true';
-- Indexes are sorted in memory: as much as the server gives its own buffers, at most half a gigabyte.
DO $memory$
BEGIN
  PERFORM pg_catalog.set_config('maintenance_work_mem', greatest(
    pg_catalog.pg_size_bytes(pg_catalog.current_setting('maintenance_work_mem')),
    least(pg_catalog.pg_size_bytes(pg_catalog.current_setting('shared_buffers')), 512 * 1024 * 1024)
  ) / 1024 || 'kB', true);
END
$memory$;
