-- A role that deploys and restores one application, and is less than `postgres`. For psql, as `postgres`; may be run again:
--   psql "$POSTGRES_URL" -v ON_ERROR_STOP=1 -v schemas=public,app -f sql/roles/deployer.sql, then: \password deploy_agent
-- It becomes the owner of what `postgres` owns in these schemas: only an owner may alter a table. `postgres` stays a
-- member of it, so the dashboard and the Supabase CLI can do what they could. What it cannot do: docs/security.md.
\if :{?schemas}
\else
\set schemas public
\endif
DO $$
BEGIN
    IF to_regrole('deploy_agent') IS NULL THEN
        CREATE ROLE deploy_agent;
    END IF;
END
$$;
-- BYPASSRLS: pg_dump, snapshot and restore must see every row, also of tables with FORCE ROW LEVEL SECURITY.
ALTER ROLE deploy_agent LOGIN BYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION CONNECTION LIMIT 20;
-- Only a member may give ownership away, and whoever owned the application keeps what an owner may.
GRANT deploy_agent TO postgres WITH INHERIT TRUE, SET TRUE;
-- What lies outside the application and belongs to it: users that rows refer to, jobs, publications.
GRANT pg_read_all_data TO deploy_agent;
-- What other sessions do, and who holds whom back: preflight and the watch on locks.
GRANT pg_monitor TO deploy_agent;
-- Ends what a worker that was thought dead has left open, before its deploy is undone. Not sessions of superusers.
GRANT pg_signal_backend TO deploy_agent;
-- Checks of a runbook that act as the API's roles (`rls: {role: anon, …}`).
GRANT anon, authenticated, service_role TO deploy_agent WITH INHERIT FALSE, SET TRUE;
ALTER ROLE deploy_agent SET search_path = "\$user", public, extensions;

SELECT set_config('deploy_agent.schemas', :'schemas', false) \g /dev/null
DO $$
DECLARE
    wanted text[] := string_to_array(current_setting('deploy_agent.schemas'), ',') || '{supabase_migrations}'::text[];
    command text;
BEGIN
    -- The Supabase CLI's history, and the agent's own tables beside it while a deploy runs.
    CREATE SCHEMA IF NOT EXISTS supabase_migrations;
    -- Schemas that migrations make, and that a restore makes again.
    EXECUTE format('GRANT CREATE, TEMPORARY ON DATABASE %I TO deploy_agent', current_database());
    FOR command IN
        -- Schemas: owner where `postgres` is it, else the right to create in them (public belongs to the database's owner).
        SELECT format(
            CASE WHEN nspowner = 'postgres'::regrole THEN 'ALTER SCHEMA %I OWNER TO deploy_agent'
                ELSE 'GRANT USAGE, CREATE ON SCHEMA %I TO deploy_agent' END, nspname)
        FROM pg_namespace
        WHERE nspname = ANY (wanted)
        UNION ALL
        -- Relations. What belongs to an extension stays the extension's; a column's sequence goes with its table.
        SELECT format('ALTER %s %I.%I OWNER TO deploy_agent',
            CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW' WHEN 'S' THEN 'SEQUENCE'
                WHEN 'f' THEN 'FOREIGN TABLE' ELSE 'TABLE' END, n.nspname, c.relname)
        FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE n.nspname = ANY (wanted) AND c.relowner = 'postgres'::regrole
            AND c.relkind IN ('r', 'p', 'v', 'm', 'S', 'f')
            AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                AND (d.deptype = 'e' OR c.relkind = 'S' AND d.deptype IN ('a', 'i')))
        UNION ALL
        SELECT format('ALTER ROUTINE %s OWNER TO deploy_agent', p.oid::regprocedure)
        FROM pg_proc AS p JOIN pg_namespace AS n ON n.oid = p.pronamespace
        WHERE n.nspname = ANY (wanted) AND p.proowner = 'postgres'::regrole
            AND NOT EXISTS (SELECT FROM pg_depend AS d
                WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')
        UNION ALL
        -- Types of their own: enums, domains, ranges, composites; not the one that each table has.
        SELECT format('ALTER %s %s OWNER TO deploy_agent',
            CASE t.typtype WHEN 'd' THEN 'DOMAIN' ELSE 'TYPE' END, t.oid::regtype)
        FROM pg_type AS t JOIN pg_namespace AS n ON n.oid = t.typnamespace
        LEFT JOIN pg_class AS c ON c.oid = t.typrelid
        WHERE n.nspname = ANY (wanted) AND t.typowner = 'postgres'::regrole AND t.typtype IN ('e', 'd', 'r', 'c')
            AND (c.oid IS NULL OR c.relkind = 'c')
            AND NOT EXISTS (SELECT FROM pg_depend AS d
                WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
        UNION ALL
        -- What `postgres` gives to the API's roles with each new object, this role gives too: else a migration's new
        -- table is there, and nobody may use it over the API.
        SELECT format('ALTER DEFAULT PRIVILEGES FOR ROLE deploy_agent IN SCHEMA %I GRANT %s ON %s TO %s',
            n.nspname, string_agg(a.privilege_type, ', '),
            CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES' WHEN 'f' THEN 'FUNCTIONS'
                ELSE 'TYPES' END,
            CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END)
        FROM pg_default_acl AS d JOIN pg_namespace AS n ON n.oid = d.defaclnamespace, aclexplode(d.defaclacl) AS a
        WHERE n.nspname = ANY (wanted) AND d.defaclrole = 'postgres'::regrole
        GROUP BY n.nspname, d.defaclobjtype, a.grantee
    LOOP
        EXECUTE command;
    END LOOP;
END
$$;

-- Keys that refer to users and stored objects, and triggers on them: as far as `postgres` may pass that on.
DO $$
DECLARE
    place text;
    right_to text;
BEGIN
    FOREACH place IN ARRAY '{auth.users, storage.buckets, storage.objects}'::text[] LOOP
        FOREACH right_to IN ARRAY '{REFERENCES, TRIGGER}'::text[] LOOP
            IF to_regclass(place) IS NULL THEN
                CONTINUE;
            ELSIF has_table_privilege(place, right_to || ' WITH GRANT OPTION') THEN
                EXECUTE format('GRANT %s ON %s TO deploy_agent', right_to, place);
            ELSE
                RAISE WARNING 'deploy_agent does not get % on %: what needs it must be deployed and restored as postgres',
                    right_to, place;
            END IF;
        END LOOP;
    END LOOP;
END
$$;
-- Left to a superuser, where there is one to ask (self-hosted: supabase_admin). A restore from a backup cannot run without:
--   GRANT SET ON PARAMETER session_replication_role TO deploy_agent;
