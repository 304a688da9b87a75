-- Schema extensions with what a new hosted project has in it, and vault, cron and net.
-- Real: pgcrypto, pg_stat_statements. STAND-INS (see extensions/): uuid-ossp, supabase_vault, pg_cron, pg_net.
-- Hosted installs pg_cron and pg_net only on request; here they are there from the start.
CREATE SCHEMA extensions AUTHORIZATION postgres;
GRANT USAGE ON SCHEMA extensions TO postgres, anon, authenticated, service_role, supabase_realtime_admin;
GRANT ALL ON SCHEMA extensions TO dashboard_user;
ALTER DEFAULT PRIVILEGES FOR ROLE supabase_admin IN SCHEMA extensions
    GRANT ALL ON TABLES TO postgres WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE supabase_admin IN SCHEMA extensions
    GRANT ALL ON FUNCTIONS TO postgres WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES FOR ROLE supabase_admin IN SCHEMA extensions
    GRANT ALL ON SEQUENCES TO postgres WITH GRANT OPTION;

CREATE EXTENSION pgcrypto WITH SCHEMA extensions;
CREATE EXTENSION pg_stat_statements WITH SCHEMA extensions;
CREATE EXTENSION "uuid-ossp" WITH SCHEMA extensions;
GRANT ALL ON ALL ROUTINES IN SCHEMA extensions TO dashboard_user, postgres WITH GRANT OPTION;

CREATE SCHEMA vault;
CREATE EXTENSION supabase_vault WITH SCHEMA vault;
CREATE EXTENSION pg_cron;
CREATE EXTENSION pg_net;
