-- Back to the session's own settings (one script).
RESET statement_timeout;
RESET lock_timeout
