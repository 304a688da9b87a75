-- Settings of roles, of the database, and of roles in it. One whose name sounds like a secret is not written down:
-- create_sql is empty. Some hold lists of names, which are quoted one by one (pg_dump does the same).
SELECT CASE WHEN s.setrole = 0 AND s.setdatabase <> 0 THEN 'database' ELSE 'role' END AS kind,
  CASE WHEN s.setrole = 0 AND s.setdatabase <> 0 THEN quote_ident(d.datname)
    ELSE who.name || CASE WHEN s.setdatabase <> 0 THEN ' in this database' ELSE '' END END || ': ' || setting.name AS name,
  true AS replaces,
  CASE WHEN setting.name ~* '(secret|passw|passphrase|token|key|credential|jwt|conninfo|uri|url|dsn)'
      AND setting.name !~ '^pgrst[.](jwt_aud|jwt_role_claim_key|jwt_secret_is_base64|openapi_server_proxy_uri)$' THEN ''
    ELSE format('ALTER %%s SET %%s TO %%s', target.name, parameter.name,
      CASE WHEN lower(setting.name) IN ('search_path', 'temp_tablespaces', 'local_preload_libraries', 'session_preload_libraries',
          'shared_preload_libraries', 'unix_socket_directories')
        THEN (SELECT string_agg(quote_literal(CASE WHEN m.item[1] LIKE '"%%' THEN replace(substr(m.item[1], 2, length(m.item[1]) - 2), '""', '"')
            ELSE m.item[1] END), ', ' ORDER BY m.n)
          FROM regexp_matches(setting.value, '("(?:[^"]|"")*"|[^,"[:space:]]+)', 'g') WITH ORDINALITY AS m (item, n))
        ELSE quote_literal(setting.value) END)
  END AS create_sql,
  format('ALTER %%s RESET %%s', target.name, parameter.name) AS drop_sql
FROM pg_db_role_setting AS s
LEFT JOIN pg_database AS d ON d.oid = s.setdatabase
CROSS JOIN LATERAL unnest(s.setconfig) AS config (text)
CROSS JOIN LATERAL (SELECT split_part(config.text, '=', 1) AS name, substr(config.text, strpos(config.text, '=') + 1) AS value) AS setting
CROSS JOIN LATERAL (
  SELECT string_agg(quote_ident(p.part), '.' ORDER BY p.n) AS name
  FROM unnest(string_to_array(setting.name, '.')) WITH ORDINALITY AS p (part, n)
) AS parameter
CROSS JOIN LATERAL (SELECT CASE WHEN s.setrole = 0 THEN 'all roles' ELSE quote_ident(pg_get_userbyid(s.setrole)) END AS name) AS who
CROSS JOIN LATERAL (
  SELECT CASE
    WHEN s.setrole = 0 AND s.setdatabase = 0 THEN 'ROLE ALL'
    WHEN s.setrole = 0 THEN format('DATABASE %%I', d.datname)
    ELSE 'ROLE ' || who.name || coalesce(' IN DATABASE ' || quote_ident(d.datname), '') END AS name
) AS target
WHERE (s.setdatabase = 0 OR d.datname = current_database())
  AND pg_get_userbyid(s.setrole) !~ '^cli_login_'
ORDER BY 1, 2
