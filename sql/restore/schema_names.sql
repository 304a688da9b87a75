-- All schemas; `ours`: we may rename them.
SELECT n.oid::bigint AS oid, n.nspname AS name, quote_ident(n.nspname) AS quoted,
  pg_has_role(n.nspowner, 'USAGE') AND has_database_privilege(current_database(), 'CREATE') AS ours
FROM pg_namespace AS n
