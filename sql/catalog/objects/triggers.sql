-- Triggers, also of other schemas' tables, such as auth.users. A partition's copy goes with its table's.
SELECT 'trigger:' || t.tgrelid::regclass || '.' || quote_ident(t.tgname), 'trigger', 'pg_trigger'::regclass::oid, t.oid, 0,
  'relation:' || t.tgrelid::regclass, pg_get_triggerdef(t.oid),
  'TRIGGER', quote_ident(t.tgname) || ' ON ' || t.tgrelid::regclass, NULL::oid, NULL::aclitem[], NULL::"char",
  ARRAY[CASE WHEN t.tgenabled <> 'O' THEN format('enabled=ALTER TABLE ONLY %%s %%s TRIGGER %%I', t.tgrelid::regclass,
    CASE t.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END, t.tgname) END],
  ARRAY[CASE WHEN t.tgenabled <> 'O' THEN
    format('enabled=ALTER TABLE ONLY %%s ENABLE TRIGGER %%I', t.tgrelid::regclass, t.tgname) END],
  CASE WHEN t.tgparentid <> 0 THEN '' END, pg_get_triggerdef(t.oid), false, NULL::oid
FROM pg_trigger AS t
JOIN pg_class AS c ON c.oid = t.tgrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE NOT t.tgisinternal AND n.nspname !~ '^pg_'
