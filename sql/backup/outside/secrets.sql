-- Vault's secrets: which there are, not what they say. A new one can go again; one that was altered or is gone stays so.
SELECT 'vault secret' AS kind, quote_ident(s.id::text) AS name, true AS replaces, '' AS create_sql,
  format('SET LOCAL session_replication_role = origin; DELETE FROM vault.secrets WHERE id = %%L; SET LOCAL session_replication_role = replica',
    s.id) AS drop_sql
FROM vault.secrets AS s
ORDER BY s.id
