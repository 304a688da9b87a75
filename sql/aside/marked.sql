-- Whether that lock is held in this database: then it is the source itself, whatever it is called here.
SELECT EXISTS (
  SELECT FROM pg_locks AS l
  WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND (l.classid::bigint << 32 | l.objid::bigint) = %(key)s
) AS here
