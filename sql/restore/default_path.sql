-- The search path that a session of this role begins with.
SELECT reset_val FROM pg_settings WHERE name = 'search_path'
