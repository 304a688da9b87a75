-- Where pieces of large objects wait for a restore's transaction (one script). Unlogged: it is filled anew after a crash.
DROP TABLE IF EXISTS supabase_migrations.deploy_agent_large;
CREATE SCHEMA IF NOT EXISTS supabase_migrations;
CREATE UNLOGGED TABLE supabase_migrations.deploy_agent_large (
  oid oid NOT NULL,
  at bigint NOT NULL,
  content bytea NOT NULL,
  owner text,
  acl text,
  comment text,
  PRIMARY KEY (oid, at)
);
ALTER TABLE supabase_migrations.deploy_agent_large ALTER COLUMN content SET STORAGE EXTERNAL;
REVOKE ALL ON supabase_migrations.deploy_agent_large FROM PUBLIC
