-- First words of a transaction before or after the archive (one script).
SET LOCAL search_path = '';
SET LOCAL statement_timeout = 0;
SET LOCAL idle_in_transaction_session_timeout = 0;
SET LOCAL client_min_messages = warning
