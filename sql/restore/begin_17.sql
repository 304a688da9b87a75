-- PostgreSQL 17 and newer may have a limit on whole transactions (one script).
SET LOCAL transaction_timeout = 0;
