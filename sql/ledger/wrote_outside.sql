-- One of its statements wrote outside the backup.
UPDATE supabase_migrations.deploy_agent_file SET wrote_outside = wrote_outside || %(names)s::text[]
WHERE deploy_id = %(deploy_id)s AND version = %(version)s
