-- Rewrite rules, but for the one that is a view's query.
SELECT 'rule:' || r.ident || '.' || quote_ident(w.rulename), 'rule', 'pg_rewrite'::regclass::oid, w.oid, 0,
  'relation:' || r.ident, pg_get_ruledef(w.oid),
  'RULE', quote_ident(w.rulename) || ' ON ' || r.ident, NULL::oid, NULL::aclitem[], NULL::"char",
  ARRAY[CASE WHEN w.ev_enabled <> 'O' THEN format('enabled=ALTER TABLE ONLY %%s %%s RULE %%I', r.ident,
    CASE w.ev_enabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, w.rulename) END],
  ARRAY[CASE WHEN w.ev_enabled <> 'O' THEN format('enabled=ALTER TABLE ONLY %%s ENABLE RULE %%I', r.ident, w.rulename) END],
  NULL, NULL, false, r.relnamespace
FROM pg_rewrite AS w
JOIN rel AS r ON r.oid = w.ev_class
WHERE w.rulename <> '_RETURN'
