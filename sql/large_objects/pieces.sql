-- The large objects that the role may read, in pieces of 1 MiB; the first of each also has owner, rights and comment.
SELECT o.oid, piece.at, lo_get(o.oid, piece.at, 1048576) AS content, about.owner, about.acl, about.comment
FROM pg_largeobject_metadata AS o
CROSS JOIN LATERAL (
  WITH RECURSIVE piece (at) AS (
    SELECT 0::bigint
    UNION ALL
    SELECT at + 1048576 FROM piece WHERE length(lo_get(o.oid, at + 1048576, 1)) > 0
  )
  SELECT at FROM piece
) AS piece
LEFT JOIN LATERAL (
  SELECT pg_get_userbyid(o.lomowner) AS owner, o.lomacl::text AS acl, obj_description(o.oid, 'pg_largeobject') AS comment
) AS about ON piece.at = 0
WHERE {readable}
