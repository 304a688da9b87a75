-- As sql/large_objects/copy.sql wrote them.
COPY supabase_migrations.deploy_agent_large (oid, at, content, owner, acl, comment) FROM STDIN
