-- The server's version as people write it, for instance 17.10.
SELECT split_part(current_setting('server_version'), ' ', 1) AS version
