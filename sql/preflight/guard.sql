-- No question of the preflight may take long or wait in a queue of locks.
SELECT set_config('statement_timeout', %(statement_timeout)s, false), set_config('lock_timeout', %(lock_timeout)s, false)
