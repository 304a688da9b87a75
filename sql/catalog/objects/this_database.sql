-- The database itself; all that is said of it is settings. Who may do what is in backup/outside/database.sql.
SELECT 'database:' || quote_ident(d.datname), 'database', 'pg_database'::regclass::oid, d.oid, 0, '', '',
  'DATABASE', quote_ident(d.datname), d.datdba, NULL::aclitem[], NULL::"char",
  ARRAY[
    format('connection limit=ALTER DATABASE %%I CONNECTION LIMIT %%s', d.datname, d.datconnlimit),
    format('comment=COMMENT ON DATABASE %%I IS ', d.datname) || quote_literal(shobj_description(d.oid, 'pg_database'))
  ],
  ARRAY[format('comment=COMMENT ON DATABASE %%I IS NULL', d.datname)],
  '', NULL, false, NULL::oid
FROM pg_database AS d
WHERE d.datname = current_database()
