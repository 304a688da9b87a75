-- Each large object: a digest of its owner, rights and comment, and one of its content, read 1 MiB at a time; content is
-- "" where it is not asked for, or where the role may not read it.
SELECT o.oid, o.oid::text AS name,
  md5(concat_ws('|', pg_get_userbyid(o.lomowner), (
    SELECT string_agg(acl::text, ',' ORDER BY acl::text) FROM unnest(coalesce(o.lomacl, acldefault('L', o.lomowner))) AS acl
  ), obj_description(o.oid, 'pg_largeobject'))) AS about,
  CASE WHEN %(contents)s AND {readable} THEN (
    WITH RECURSIVE piece (at) AS (
      SELECT 0::bigint
      UNION ALL
      SELECT at + 1048576 FROM piece WHERE length(lo_get(o.oid, at + 1048576, 1)) > 0
    )
    SELECT md5(string_agg(md5(lo_get(o.oid, at, 1048576)), '' ORDER BY at)) FROM piece
  ) ELSE '' END AS content
FROM pg_largeobject_metadata AS o
