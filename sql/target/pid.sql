-- Which backend answers (behind a pooler not the one that libpq was told).
SELECT pg_backend_pid() AS pid
