-- The agent's own address as the server sees it; empty over a Unix socket.
SELECT coalesce(host(inet_client_addr()), '')
