-- A row that does not fit is found out where it is inserted, not at COMMIT (one script).
SET CONSTRAINTS ALL IMMEDIATE;
SET LOCAL lock_timeout = %(ms)s
