-- Event triggers of supabase_admin: PostgREST's schema reload, and the guard of the schemas that Supabase manages.

CREATE FUNCTION extensions.pgrst_ddl_watch() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    -- Temporary objects and Supabase's own schemas are none of PostgREST's business.
    IF EXISTS (
        SELECT FROM pg_event_trigger_ddl_commands() AS command
        WHERE command.command_tag = ANY ('{
                CREATE SCHEMA, ALTER SCHEMA, CREATE TABLE, CREATE TABLE AS, SELECT INTO, ALTER TABLE,
                CREATE FOREIGN TABLE, ALTER FOREIGN TABLE, CREATE VIEW, ALTER VIEW, CREATE MATERIALIZED VIEW,
                ALTER MATERIALIZED VIEW, CREATE FUNCTION, ALTER FUNCTION, CREATE TRIGGER, CREATE TYPE, ALTER TYPE,
                CREATE RULE, COMMENT}'::text[])
            AND coalesce(command.schema_name, '') NOT IN ('pg_temp', 'auth', 'realtime', '_realtime', 'storage')
            AND coalesce(command.object_identity, '') !~ ' on (pg_temp|auth|realtime|_realtime|storage)\.'
    ) THEN
        NOTIFY pgrst, 'reload schema';
    END IF;
END
$$;
CREATE EVENT TRIGGER pgrst_ddl_watch ON ddl_command_end EXECUTE FUNCTION extensions.pgrst_ddl_watch();

CREATE FUNCTION extensions.pgrst_drop_watch() RETURNS event_trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (
        SELECT FROM pg_event_trigger_dropped_objects() AS dropped
        WHERE dropped.object_type = ANY ('{
                schema, table, foreign table, view, materialized view, function, trigger, type, rule}'::text[])
            AND NOT dropped.is_temporary
            AND coalesce(dropped.schema_name, '') NOT IN ('auth', 'realtime', '_realtime', 'storage')
            AND dropped.object_identity !~ ' on (pg_temp|auth|realtime|_realtime|storage)\.'
    ) THEN
        NOTIFY pgrst, 'reload schema';
    END IF;
END
$$;
CREATE EVENT TRIGGER pgrst_drop_watch ON sql_drop EXECUTE FUNCTION extensions.pgrst_drop_watch();

-- STAND-IN for supautils, second half (the first is in roles.sql). `postgres` inherits the ownership of the tables in
-- auth, storage and realtime so that it can manage policies and drop triggers there, as on hosted; what else
-- ownership would allow is refused here after the fact, with hosted's message. ENABLE ALWAYS: also while
-- session_replication_role = replica. Not covered: TRUNCATE of tables without that grant, GRANT on tables of auth.
CREATE FUNCTION extensions.guard_managed_schemas() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE
    command record;
    relation record;
BEGIN
    -- supautils is C code that costs nothing: so little as can be is asked of a statement about other schemas.
    FOR command IN
        SELECT * FROM pg_event_trigger_ddl_commands()
        WHERE NOT in_extension
            AND command_tag NOT IN ('CREATE POLICY', 'ALTER POLICY', 'CREATE TRIGGER', 'GRANT', 'REVOKE')
            AND (schema_name IN ('auth', 'storage', 'realtime') OR object_identity ~ ' on (auth|storage|realtime)\.')
    LOOP
        IF current_user IN ('supabase_auth_admin', 'supabase_storage_admin', 'supabase_realtime_admin')
            OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
        THEN
            RETURN;
        END IF;
        -- A policy, trigger or rule has no schema of its own: its table's counts.
        SELECT n.nspname AS schema, c.relname AS name INTO relation
        FROM pg_class AS c
        JOIN pg_namespace AS n ON n.oid = c.relnamespace
        WHERE c.oid = coalesce(
            (SELECT polrelid FROM pg_policy WHERE command.classid = 'pg_policy'::regclass AND oid = command.objid),
            (SELECT tgrelid FROM pg_trigger WHERE command.classid = 'pg_trigger'::regclass AND oid = command.objid),
            (SELECT ev_class FROM pg_rewrite WHERE command.classid = 'pg_rewrite'::regclass AND oid = command.objid),
            (SELECT indrelid FROM pg_index WHERE command.classid = 'pg_class'::regclass AND indexrelid = command.objid),
            (SELECT oid FROM pg_class WHERE command.classid = 'pg_class'::regclass AND oid = command.objid)
        );
        IF coalesce(relation.schema, command.schema_name) IN ('auth', 'storage', 'realtime') THEN
            IF command.command_tag LIKE 'CREATE %' AND command.command_tag NOT IN ('CREATE INDEX', 'CREATE RULE') THEN
                RAISE EXCEPTION 'permission denied for schema %', coalesce(relation.schema, command.schema_name)
                    USING ERRCODE = '42501';
            END IF;
            RAISE EXCEPTION 'must be owner of % %',
                CASE WHEN relation.name IS NULL THEN command.object_type
                     WHEN command.command_tag = 'COMMENT' THEN 'relation' ELSE 'table' END,
                coalesce(relation.name, command.object_identity)
                USING ERRCODE = '42501';
        END IF;
    END LOOP;
END
$$;
CREATE EVENT TRIGGER guard_managed_schemas ON ddl_command_end EXECUTE FUNCTION extensions.guard_managed_schemas();
ALTER EVENT TRIGGER guard_managed_schemas ENABLE ALWAYS;

CREATE FUNCTION extensions.guard_managed_drops() RETURNS event_trigger LANGUAGE plpgsql AS $$
DECLARE
    dropped record;
BEGIN
    IF current_user IN ('supabase_auth_admin', 'supabase_storage_admin', 'supabase_realtime_admin')
        OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
    THEN
        RETURN;
    END IF;
    SELECT * INTO dropped
    FROM pg_event_trigger_dropped_objects()
    WHERE object_type NOT IN ('trigger', 'policy')
        AND (schema_name IN ('auth', 'storage', 'realtime') OR object_identity ~ ' on (auth|storage|realtime)\.')
        AND (original OR normal)
    LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'must be owner of % %', dropped.object_type, coalesce(dropped.object_name, dropped.object_identity)
            USING ERRCODE = '42501';
    END IF;
END
$$;
CREATE EVENT TRIGGER guard_managed_drops ON sql_drop EXECUTE FUNCTION extensions.guard_managed_drops();
ALTER EVENT TRIGGER guard_managed_drops ENABLE ALWAYS;
