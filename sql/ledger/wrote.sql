-- What one of its statements has written.
UPDATE supabase_migrations.deploy_agent_file SET
  wrote_outside = wrote_outside || %(names)s::text[],
  own_ids = own_ids + CASE WHEN %(id)s::bigint IS NULL THEN '{}' ELSE int8multirange(int8range(%(id)s::bigint, %(id)s::bigint, '[]')) END,
  touched = touched || %(touched)s::oid[],
  replaced = replaced || %(replaced)s::oid[],
  touched_any = touched_any OR %(unseen)s
WHERE deploy_id = %(deploy_id)s AND version = %(version)s
