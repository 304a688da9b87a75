-- Whether the session still answers; with it goes its lock.
SELECT 1 AS answers
