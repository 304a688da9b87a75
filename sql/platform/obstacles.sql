-- What a restore of the whole server does not bear, or would not bring back: replication slots that stay (the services'
-- own are temporary), subscriptions, and tables of these schemas that are not logged and have rows (PostgreSQL
-- documentation, CREATE TABLE: an unlogged table is emptied by a recovery).
SELECT
  ARRAY(SELECT slot_name::text FROM pg_replication_slots WHERE NOT temporary ORDER BY 1) AS slots,
  ARRAY(SELECT subname::text FROM pg_subscription ORDER BY 1) AS subscriptions,
  ARRAY(
    SELECT format('%%I.%%I', n.nspname, c.relname)
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relkind = 'r' AND c.relpersistence = 'u' AND n.nspname = ANY (%(schemas)s::text[]) AND pg_relation_size(c.oid) > 0
    ORDER BY 1
  ) AS unlogged
