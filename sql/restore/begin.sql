-- First part of the restore's transaction (one script). Replica: no trigger and no event trigger of the application fires.
-- Storage refuses DELETE on its tables without the last setting.
SET LOCAL session_replication_role = replica;
SET LOCAL client_min_messages = warning;
SET LOCAL search_path = '';
SET LOCAL statement_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = 0;
SET LOCAL storage.allow_delete_query = 'true';
