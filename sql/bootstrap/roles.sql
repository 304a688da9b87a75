-- The roles of a hosted Supabase project, once a cluster, safe to run again. As of supabase/postgres 17, tests `roles` and `realtime`.
-- The passwords of the login roles are set by the caller.
DO $$
DECLARE
    wanted text[][] := ARRAY[
        ['postgres',                   'LOGIN CREATEROLE CREATEDB REPLICATION BYPASSRLS'],
        ['anon',                       'NOLOGIN'],
        ['authenticated',              'NOLOGIN'],
        ['service_role',               'NOLOGIN BYPASSRLS'],
        ['authenticator',              'LOGIN NOINHERIT'],
        ['supabase_auth_admin',        'LOGIN NOINHERIT CREATEROLE'],
        ['supabase_storage_admin',     'LOGIN NOINHERIT CREATEROLE'],
        ['supabase_realtime_admin',    'LOGIN NOINHERIT CREATEROLE REPLICATION'],
        ['supabase_functions_admin',   'LOGIN NOINHERIT CREATEROLE'],
        ['supabase_replication_admin', 'LOGIN REPLICATION'],
        ['supabase_etl_admin',         'LOGIN REPLICATION'],
        ['supabase_read_only_user',    'LOGIN BYPASSRLS'],
        ['dashboard_user',             'NOLOGIN CREATEROLE CREATEDB REPLICATION'],
        ['pgbouncer',                  'LOGIN']
    ];
    role_index int;
BEGIN
    FOR role_index IN 1 .. array_length(wanted, 1) LOOP
        IF to_regrole(wanted[role_index][1]) IS NULL THEN
            EXECUTE format('CREATE ROLE %I %s', wanted[role_index][1], wanted[role_index][2]);
        END IF;
    END LOOP;
END
$$;

GRANT anon, authenticated, service_role TO authenticator;
GRANT authenticator TO supabase_storage_admin;
GRANT anon, authenticated, service_role TO supabase_realtime_admin;
GRANT pg_read_all_data TO supabase_read_only_user, supabase_etl_admin;

-- `postgres` may hand these on and set their parameters (ALTER ROLE authenticator SET pgrst.… is common). On hosted,
-- the extension supautils also keeps it from changing their attributes (`supautils.reserved_roles`); plain Postgres
-- cannot tell the two apart, so ALTER ROLE anon LOGIN is refused there and not here.
GRANT anon, authenticated, service_role, authenticator TO postgres WITH ADMIN OPTION;
GRANT pg_monitor, pg_read_all_data, pg_signal_backend TO postgres WITH ADMIN OPTION;
GRANT pg_create_subscription TO postgres;

-- STAND-IN for supautils' `policy_grants` and `drop_trigger_grants`, which let `postgres` manage policies and drop
-- triggers on tables of auth, storage and realtime that it does not own. Plain Postgres asks for ownership, so
-- `postgres` inherits it here, without being able to become the owner; the event triggers of managed.sql take back
-- everything else that ownership would allow. Visible difference: pg_has_role() says yes where hosted says no.
GRANT supabase_auth_admin, supabase_storage_admin, supabase_realtime_admin TO postgres WITH INHERIT TRUE, SET FALSE;

-- On hosted `supautils.privileged_role_allowed_configs`.
GRANT SET ON PARAMETER
    session_replication_role, log_min_duration_statement, log_min_messages, log_statement, log_lock_waits,
    deadlock_timeout, track_io_timing
    TO postgres;
GRANT SET ON PARAMETER log_min_messages TO supabase_realtime_admin;
-- There it allows `pgrst.*`; plain Postgres wants each of PostgREST's settings named.
GRANT SET ON PARAMETER
    pgrst.db_aggregates_enabled, pgrst.db_anon_role, pgrst.db_extra_search_path, pgrst.db_max_rows,
    pgrst.db_plan_enabled, pgrst.db_pre_request, pgrst.db_root_spec, pgrst.db_schemas, pgrst.db_tx_end,
    pgrst.jwt_aud, pgrst.jwt_role_claim_key, pgrst.jwt_secret, pgrst.jwt_secret_is_base64, pgrst.openapi_mode,
    pgrst.server_timing_enabled, pgrst.server_trace_header
    TO postgres;

ALTER ROLE anon SET statement_timeout = '3s';
ALTER ROLE authenticated SET statement_timeout = '8s';
-- Hosted also sets session_preload_libraries = safeupdate, which the wheel does not have.
ALTER ROLE authenticator SET statement_timeout = '8s';
ALTER ROLE authenticator SET lock_timeout = '8s';
-- The literal "\$user" is hosted's own: a long-lived slip that every project has.
ALTER ROLE postgres SET search_path = "\$user", public, extensions;
ALTER ROLE supabase_admin SET search_path = "$user", public, auth, extensions;
ALTER ROLE supabase_auth_admin SET search_path = auth;
ALTER ROLE supabase_auth_admin SET idle_in_transaction_session_timeout = 60000;
ALTER ROLE supabase_storage_admin SET search_path = storage;
ALTER ROLE supabase_realtime_admin SET search_path = realtime;
