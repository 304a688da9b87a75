-- Of the large object `o`: whether the current role may read it, as lo_get asks (PostgreSQL source: inv_open). Part of others.
(current_setting('lo_compat_privileges') = 'on'
  OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
  OR (current_setting('server_version_num')::int >= 180000 AND pg_has_role('pg_read_all_data', 'USAGE'))
  OR EXISTS (
    SELECT FROM aclexplode(coalesce(o.lomacl, acldefault('L', o.lomowner))) AS acl
    WHERE acl.privilege_type = 'SELECT' AND (acl.grantee = 0 OR pg_has_role(acl.grantee, 'USAGE'))))
