-- Row-level security policies, also of other schemas' tables, such as storage.objects.
SELECT 'policy:' || p.polrelid::regclass || '.' || quote_ident(p.polname), 'policy', 'pg_policy'::regclass::oid, p.oid, 0,
  'relation:' || p.polrelid::regclass,
  concat_ws(' ', 'AS', CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END, 'FOR',
    CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
    CASE WHEN p.polqual IS NOT NULL THEN 'USING' END, CASE WHEN p.polwithcheck IS NOT NULL THEN 'WITH CHECK' END),
  'POLICY', quote_ident(p.polname) || ' ON ' || p.polrelid::regclass, NULL::oid, NULL::aclitem[], NULL::"char",
  ARRAY[format('rule=ALTER POLICY %%I ON %%s TO %%s%%s%%s', p.polname, p.polrelid::regclass,
    (SELECT string_agg(CASE WHEN o.oid = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(o.oid)) END, ', '
       ORDER BY pg_get_userbyid(o.oid)) FROM unnest(p.polroles) AS o (oid)),
    ' USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
    ' WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')')],
  NULL::text[], NULL, NULL, false, NULL::oid
FROM pg_policy AS p
