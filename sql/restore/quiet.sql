-- For a transaction that renames and is rolled back: no event trigger of the application fires.
SET LOCAL session_replication_role = replica
