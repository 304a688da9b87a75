-- See what the transaction sees that has exported this snapshot (PostgreSQL documentation, "SET TRANSACTION").
SET TRANSACTION SNAPSHOT %(id)s
