-- A role that can look and take backups, and change nothing. For psql, as `postgres`; may be run again:
--   psql "$POSTGRES_URL" -v ON_ERROR_STOP=1 -f sql/roles/reader.sql, then: \password deploy_agent_reader
-- Enough for: backup, backup verify, plan, diff, verify, doctor, status, wait, and `serve` with watch off or plan.
-- Not enough for: deploy, restore in place, salvage apply. Large objects need their owner (before PostgreSQL 18).
DO $$
BEGIN
    IF to_regrole('deploy_agent_reader') IS NULL THEN
        CREATE ROLE deploy_agent_reader;
    END IF;
END
$$;
-- BYPASSRLS: pg_dump refuses a table whose policies would hide rows from it: a backup must be whole.
-- CONNECTION LIMIT: two for pg_dump's workers, sessions for snapshot, monitors and doctor; it cannot use up the server.
ALTER ROLE deploy_agent_reader LOGIN BYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION CONNECTION LIMIT 12;
-- Every row and every sequence's state, of every schema, for dump, snapshot and checks; no row can be written.
GRANT pg_read_all_data TO deploy_agent_reader;
-- What other sessions do, and what holds back whom: the preflight's long transactions, locks and slots.
GRANT pg_monitor TO deploy_agent_reader;
-- Transactions that write are refused, whatever is granted to everybody.
ALTER ROLE deploy_agent_reader SET default_transaction_read_only = on;
-- As `postgres` on hosted Supabase: expressions in policies and defaults find what they mean.
ALTER ROLE deploy_agent_reader SET search_path = "\$user", public, extensions;
ALTER ROLE deploy_agent_reader SET statement_timeout = 0;
