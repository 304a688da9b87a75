-- One table's rows that the backup may not have, each with whose it is: a, the application's; u, unclear.
-- A row has the lower 32 bits of the transaction id that wrote it (PostgreSQL documentation, "Transactions and
-- Identifiers"); no id is older than half of them, but for frozen rows, whose id says nothing: 2^31 transactions later
-- one may look new, and is kept for nothing. `complete`: `running` has the ids of subtransactions, too.
-- xid has no arithmetic but age(), which is cheap: it counts from the same id for all, and age('3') tells which that is.
SELECT origin.kind{columns}
FROM ONLY {table} AS t
CROSS JOIN LATERAL (
  SELECT CASE WHEN t.xmin <> 1 AND t.xmin <> 2  -- those were written when the database was made
    THEN %(next)s::bigint - ((%(next)s::bigint - 3 - age('3'::xid) + age(t.xmin)) & 4294967295) END AS id
) AS written
CROSS JOIN LATERAL (
  SELECT CASE
    WHEN written.id IS NULL OR written.id < %(low)s::bigint THEN NULL
    WHEN written.id <@ %(own)s::int8multirange THEN CASE WHEN %(replaced)s THEN 'u' END
    WHEN written.id <@ %(restored)s::int8multirange THEN NULL
    WHEN written.id <@ %(unsure)s::int8multirange OR (%(rewritten)s AND written.id >= %(began)s::bigint) THEN 'u'
    WHEN written.id >= %(high)s::bigint OR written.id = ANY (%(running)s::bigint[]) THEN 'a'
    WHEN %(running)s::bigint[] <> '{}' AND NOT %(complete)s THEN 'u'  -- perhaps a subtransaction of one that was running
  END AS kind
) AS origin
WHERE origin.kind IS NOT NULL
