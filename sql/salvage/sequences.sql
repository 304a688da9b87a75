-- Statements that set the sequences behind the tables' columns forward to the highest number there, where they stand
-- lower: identity and serial columns, and sequences that a default calls.
WITH used AS (
  SELECT d.refobjid AS relation, d.refobjsubid AS number, d.objid AS sequence
  FROM pg_depend AS d
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0
  UNION
  SELECT a.adrelid, a.adnum, d.refobjid
  FROM pg_depend AS d
  JOIN pg_attrdef AS a ON d.classid = 'pg_attrdef'::regclass AND a.oid = d.objid
  WHERE d.refclassid = 'pg_class'::regclass
)
SELECT format(
  'SELECT setval(%%L::regclass, highest.number) FROM (SELECT max(t.%%I)::bigint AS number FROM ONLY %%s AS t) AS highest '
  'WHERE highest.number > coalesce(pg_sequence_last_value(%%L::regclass), %%s - 1)',
  s.seqrelid::regclass, a.attname, used.relation::regclass, s.seqrelid::regclass, s.seqstart
) AS statement
FROM used
JOIN pg_sequence AS s ON s.seqrelid = used.sequence AND s.seqincrement > 0
JOIN pg_attribute AS a ON a.attrelid = used.relation AND a.attnum = used.number
WHERE used.relation = ANY (%(ids)s::oid[]) AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype)
  AND has_sequence_privilege(s.seqrelid, 'UPDATE')
ORDER BY s.seqrelid
