-- The server's major version, for instance 17.
SELECT current_setting('server_version_num')::int / 10000 AS major
