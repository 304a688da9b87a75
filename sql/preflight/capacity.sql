-- Connections in use and allowed (of the server, the database, the role), relations against places for locks, and large
-- objects that the role may not read (as large_objects/readable says it): no backup of its holds them.
WITH used AS (
  SELECT count(*) AS total,
    count(*) FILTER (WHERE datname = current_database()) AS of_database,
    count(*) FILTER (WHERE usename = current_user) AS of_role
  FROM pg_stat_activity
  WHERE backend_type = 'client backend'
), allowed AS (
  SELECT current_setting('max_connections')::int
      - CASE WHEN r.rolsuper THEN 0 ELSE current_setting('superuser_reserved_connections')::int
          + coalesce(current_setting('reserved_connections', true)::int, 0) END AS total,
    nullif(d.datconnlimit, -1) AS of_database,
    nullif(r.rolconnlimit, -1) AS of_role
  FROM pg_roles AS r, pg_database AS d
  WHERE r.rolname = current_user AND d.datname = current_database()
)
SELECT used.total AS used, allowed.total AS allowed,
  least(allowed.total - used.total, allowed.of_database - used.of_database, allowed.of_role - used.of_role) AS free,
  (SELECT count(*) FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE n.nspname = ANY (%(schemas)s::text[]) AND c.relkind IN ('r', 'p', 'i', 'I', 'S', 'm', 'v', 'f')) AS relations,
  current_setting('max_locks_per_transaction')::bigint
    * (current_setting('max_connections')::int + current_setting('max_prepared_transactions')::int) AS lock_places,
  (SELECT count(*) FROM pg_largeobject_metadata AS o
    WHERE NOT EXISTS (
        SELECT FROM aclexplode(coalesce(o.lomacl, acldefault('L', o.lomowner))) AS acl
        WHERE acl.privilege_type = 'SELECT' AND (acl.grantee = 0 OR pg_has_role(acl.grantee, 'USAGE')))
      AND current_setting('lo_compat_privileges') = 'off'
      AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
      AND NOT (current_setting('server_version_num')::int >= 180000 AND pg_has_role('pg_read_all_data', 'USAGE'))
  ) AS large_objects
FROM used, allowed
