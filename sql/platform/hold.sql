-- The transaction that keeps writers out until the old database ends (one script). Its snapshot is taken once they are out.
BEGIN ISOLATION LEVEL REPEATABLE READ;
SET LOCAL idle_in_transaction_session_timeout = 0;
SET LOCAL statement_timeout = 0
