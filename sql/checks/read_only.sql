-- The check only reads. PostgreSQL takes this back with the subtransaction (xact.c restores XactReadOnly).
SET LOCAL transaction_read_only = on
