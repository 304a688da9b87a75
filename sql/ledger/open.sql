-- The fence and the ledger of the running deploy; all are gone when no deploy runs (one script).
-- Every transaction of a deploy holds the fence row FOR SHARE: once it is closed, or gone, a worker that
-- was thought dead can write no more. `file` says what a file that has committed, or that runs statement by statement,
-- wrote: outside the backup; to which relations (`touched`; `replaced`: not only new rows; `touched_any`: it cannot be
-- told); and under which transaction ids, its own and those of which some may be others', as are those between `began`
-- and `ended` of a statement that writes. `relation` has each table's
-- file of before: TRUNCATE and rewrites make a new one. `proof` says what tables held when a restore committed.
CREATE TABLE IF NOT EXISTS supabase_migrations.deploy_agent_fence (
  deploy_id text PRIMARY KEY,
  state text NOT NULL CHECK (state IN ('open', 'closed')),
  began bigint NOT NULL,
  ended bigint
);
CREATE TABLE IF NOT EXISTS supabase_migrations.deploy_agent_ledger (
  deploy_id text NOT NULL REFERENCES supabase_migrations.deploy_agent_fence,
  version text NOT NULL,
  statement integer NOT NULL CHECK (statement > 0),
  state text NOT NULL CHECK (state IN ('started', 'done')),
  writes boolean NOT NULL,
  began bigint NOT NULL,
  ended bigint,
  PRIMARY KEY (deploy_id, version, statement)
);
CREATE TABLE IF NOT EXISTS supabase_migrations.deploy_agent_file (
  deploy_id text NOT NULL REFERENCES supabase_migrations.deploy_agent_fence,
  version text NOT NULL,
  state text NOT NULL CHECK (state IN ('started', 'applied')),
  wrote_outside text[] NOT NULL DEFAULT '{}',
  own_ids int8multirange NOT NULL DEFAULT '{}',
  unsure_ids int8multirange NOT NULL DEFAULT '{}',
  touched oid[] NOT NULL DEFAULT '{}',
  replaced oid[] NOT NULL DEFAULT '{}',
  touched_any boolean NOT NULL DEFAULT false,
  PRIMARY KEY (deploy_id, version)
);
CREATE TABLE IF NOT EXISTS supabase_migrations.deploy_agent_relation (
  id oid PRIMARY KEY,
  filenode oid NOT NULL
);
CREATE TABLE IF NOT EXISTS supabase_migrations.deploy_agent_proof (
  name text PRIMARY KEY,
  rows bigint NOT NULL,
  hash text NOT NULL
);
REVOKE ALL ON supabase_migrations.deploy_agent_fence, supabase_migrations.deploy_agent_ledger,
  supabase_migrations.deploy_agent_file, supabase_migrations.deploy_agent_relation,
  supabase_migrations.deploy_agent_proof FROM PUBLIC
