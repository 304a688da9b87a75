-- Foreign data wrappers, servers and user mappings. Options may hold passwords and keys, so only those that never do are
-- written down: with others, or where the role may not see them, create_sql is empty.
WITH harmless AS (
  SELECT ARRAY['host', 'hostaddr', 'port', 'dbname', 'user', 'username', 'sslmode', 'application_name', 'connect_timeout',
    'password_required', 'use_remote_estimate', 'fdw_startup_cost', 'fdw_tuple_cost', 'fetch_size', 'batch_size', 'async_capable',
    'extensions', 'updatable', 'truncatable', 'keep_connections', 'parallel_commit', 'parallel_abort', 'analyze_sampling',
    'region', 'project_id', 'dataset_id', 'api_key_id', 'conn_string_id', 'sa_key_id'] AS names
), thing AS (
  SELECT 1 AS place, 'foreign data wrapper' AS kind, quote_ident(w.fdwname) AS name, 'pg_foreign_data_wrapper'::regclass AS classid, w.oid,
    w.fdwoptions AS options, true AS visible,
    format('SELECT true, fdwoptions FROM pg_catalog.pg_foreign_data_wrapper WHERE fdwname = %%L', w.fdwname) AS present_sql,
    format('FOREIGN DATA WRAPPER %%I %%s %%s', w.fdwname, coalesce('HANDLER ' || nullif(w.fdwhandler, 0)::regproc, 'NO HANDLER'),
      coalesce('VALIDATOR ' || nullif(w.fdwvalidator, 0)::regproc, 'NO VALIDATOR')) AS create_rest,
    NULL AS alter_rest,
    format('DROP FOREIGN DATA WRAPPER IF EXISTS %%I', w.fdwname) AS drop_sql
  FROM pg_foreign_data_wrapper AS w
  UNION ALL
  SELECT 2, 'foreign server', quote_ident(s.srvname), 'pg_foreign_server'::regclass, s.oid, s.srvoptions, true,
    format('SELECT true, srvoptions FROM pg_catalog.pg_foreign_server WHERE srvname = %%L', s.srvname),
    format('SERVER %%I%%s%%s FOREIGN DATA WRAPPER %%I', s.srvname, ' TYPE ' || quote_literal(s.srvtype), ' VERSION ' || quote_literal(s.srvversion),
      w.fdwname),
    format('SERVER %%I VERSION %%L', s.srvname, s.srvversion),
    format('DROP SERVER IF EXISTS %%I', s.srvname)
  FROM pg_foreign_server AS s
  JOIN pg_foreign_data_wrapper AS w ON w.oid = s.srvfdw
  UNION ALL
  SELECT 3, 'user mapping', format('for %%s on %%I', says.whose, u.srvname), 'pg_user_mapping'::regclass, u.umid, u.umoptions,
    me.rolsuper OR u.usename = current_user OR u.umuser = 0 AND pg_has_role(s.srvowner, 'USAGE'),
    format('SELECT true, umoptions FROM pg_catalog.pg_user_mappings WHERE usename = %%L AND srvname = %%L', u.usename, u.srvname),
    format('USER MAPPING FOR %%s SERVER %%I', says.whose, u.srvname),
    NULL,
    format('DROP USER MAPPING IF EXISTS FOR %%s SERVER %%I', says.whose, u.srvname)
  FROM pg_user_mappings AS u
  JOIN pg_foreign_server AS s ON s.oid = u.srvid
  JOIN pg_roles AS me ON me.rolname = current_user
  CROSS JOIN LATERAL (SELECT CASE WHEN u.umuser = 0 THEN 'PUBLIC' ELSE quote_ident(u.usename) END AS whose) AS says
)
SELECT t.kind, t.name, t.classid::oid::int8 AS classid, t.oid::int8 AS objid, true AS replaces,
  CASE WHEN told.all THEN coalesce(t.options, '{}')::text END AS options,
  t.present_sql,
  CASE WHEN told.all THEN 'CREATE ' || t.create_rest ELSE '' END AS create_sql,
  'ALTER ' || coalesce(t.alter_rest, t.create_rest) AS alter_sql,
  t.drop_sql
FROM thing AS t
CROSS JOIN harmless
CROSS JOIN LATERAL (
  SELECT t.visible AND NOT EXISTS (
    SELECT FROM pg_options_to_table(t.options) AS o WHERE o.option_name <> ALL (harmless.names)
  ) AS "all"
) AS told
WHERE NOT EXISTS (
  SELECT FROM pg_depend AS d WHERE d.classid = t.classid AND d.objid = t.oid AND d.deptype = 'e'
)
ORDER BY t.place, t.name
