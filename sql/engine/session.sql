-- The session that holds an executor's lock: the server lets go of a client whose machine is gone after 25 s, not after hours.
SELECT set_config('tcp_keepalives_idle', '10', false), set_config('tcp_keepalives_interval', '5', false),
  set_config('tcp_keepalives_count', '3', false), set_config('idle_session_timeout', '0', false)
