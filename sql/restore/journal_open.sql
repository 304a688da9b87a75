-- The journal of a restore in several transactions: the batches that have committed (one script). It is there while such
-- a restore is unfinished, and goes with its last batch.
CREATE SCHEMA IF NOT EXISTS supabase_migrations;
CREATE TABLE IF NOT EXISTS supabase_migrations.deploy_agent_restore (name text PRIMARY KEY);
REVOKE ALL ON supabase_migrations.deploy_agent_restore FROM PUBLIC
