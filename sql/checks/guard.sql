-- Before a check, inside its own (sub)transaction: its timeout in milliseconds, undone with that transaction.
SELECT set_config('statement_timeout', %(timeout_ms)s::text, true)
