-- Give other sessions this transaction's snapshot (PostgreSQL docs, "Snapshot Synchronization Functions").
SELECT pg_export_snapshot() AS id
