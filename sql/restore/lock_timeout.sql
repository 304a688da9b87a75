-- How long the restore waits for one lock, in milliseconds (one script).
SET LOCAL lock_timeout = %(ms)s;
