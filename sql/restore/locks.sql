-- How many locks the server has places for, how many are taken, and how many dropping the contents of schemas takes: one
-- for each object, also for those that belong to a table (constraints, triggers, row types, TOAST tables and so on).
-- PostgreSQL documentation, "Lock Management": max_locks_per_transaction * (max_connections + max_prepared_transactions).
WITH app AS (
  SELECT oid FROM pg_namespace WHERE nspname = ANY (%(schemas)s::text[])
), relation AS (
  SELECT oid, reltoastrelid FROM pg_class WHERE relnamespace IN (SELECT oid FROM app)
)
SELECT
  current_setting('max_locks_per_transaction')::bigint
    * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int) AS places,
  (SELECT count(*) FROM pg_locks WHERE NOT fastpath) AS taken,
  (SELECT count(*) + 2 * count(*) FILTER (WHERE reltoastrelid <> 0) FROM relation)
    + (SELECT count(*) FROM pg_type WHERE typnamespace IN (SELECT oid FROM app))
    + (SELECT count(*) FROM pg_constraint WHERE connamespace IN (SELECT oid FROM app))
    + (SELECT count(*) FROM pg_attrdef WHERE adrelid IN (SELECT oid FROM relation))
    + (SELECT count(*) FROM pg_trigger WHERE tgrelid IN (SELECT oid FROM relation) OR tgconstrrelid IN (SELECT oid FROM relation))
    + (SELECT count(*) FROM pg_policy WHERE polrelid IN (SELECT oid FROM relation))
    + (SELECT count(*) FROM pg_rewrite WHERE ev_class IN (SELECT oid FROM relation))
    + (SELECT count(*) FROM pg_publication_rel WHERE prrelid IN (SELECT oid FROM relation))
    + (SELECT count(*) FROM pg_proc WHERE pronamespace IN (SELECT oid FROM app))
    + (SELECT count(*) FROM pg_operator WHERE oprnamespace IN (SELECT oid FROM app))
    + (SELECT count(*) FROM pg_opclass WHERE opcnamespace IN (SELECT oid FROM app))
    + (SELECT count(*) FROM pg_opfamily WHERE opfnamespace IN (SELECT oid FROM app))
    + (SELECT count(*) FROM pg_statistic_ext WHERE stxnamespace IN (SELECT oid FROM app)) AS to_drop
