-- Checks and defaults run as they do for the application: some call functions without their schema.
SET LOCAL search_path = DEFAULT
