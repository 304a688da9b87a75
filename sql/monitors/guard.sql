-- A monitor's session: it only reads, waits for no lock for long, and gives up a slow query.
SELECT set_config('default_transaction_read_only', 'on', false),
       set_config('lock_timeout', '1s', false),
       set_config('statement_timeout', '30s', false)
