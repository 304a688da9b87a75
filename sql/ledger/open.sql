-- The fence and the ledger of the running deploy; both are gone when no deploy runs (one script).
-- Every transaction of a deploy holds the fence row FOR SHARE: once it is closed, or gone, a worker that
-- was thought dead can write no more.
CREATE TABLE IF NOT EXISTS supabase_migrations.deploy_agent_fence (
  deploy_id text PRIMARY KEY,
  state text NOT NULL CHECK (state IN ('open', 'closed'))
);
CREATE TABLE IF NOT EXISTS supabase_migrations.deploy_agent_ledger (
  deploy_id text NOT NULL REFERENCES supabase_migrations.deploy_agent_fence,
  version text NOT NULL,
  statement integer NOT NULL CHECK (statement > 0),
  state text NOT NULL CHECK (state IN ('started', 'done')),
  PRIMARY KEY (deploy_id, version, statement)
);
REVOKE ALL ON supabase_migrations.deploy_agent_fence, supabase_migrations.deploy_agent_ledger FROM PUBLIC
