-- A restore in several transactions: what each does, and which have committed. Whoever finds it finishes the restore; it
-- goes with the last of them (one script, one transaction).
CREATE SCHEMA IF NOT EXISTS supabase_migrations;
DROP TABLE IF EXISTS supabase_migrations.deploy_agent_restore;
CREATE TABLE supabase_migrations.deploy_agent_restore (
  restore text NOT NULL,
  number integer PRIMARY KEY,
  name text NOT NULL,
  before text NOT NULL,
  listing text NOT NULL,
  after text NOT NULL,
  done boolean NOT NULL DEFAULT false
);
REVOKE ALL ON supabase_migrations.deploy_agent_restore FROM PUBLIC
