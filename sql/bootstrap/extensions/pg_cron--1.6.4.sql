-- STAND-IN for pg_cron: its schema, tables and functions. Jobs are recorded and NEVER RUN.
CREATE SCHEMA cron;
CREATE SEQUENCE cron.jobid_seq;
CREATE TABLE cron.job (
    jobid bigint PRIMARY KEY DEFAULT nextval('cron.jobid_seq'),
    schedule text NOT NULL,
    command text NOT NULL,
    nodename text NOT NULL DEFAULT 'localhost',
    nodeport integer NOT NULL DEFAULT inet_server_port(),
    database text NOT NULL DEFAULT current_database(),
    username text NOT NULL DEFAULT current_user,
    active boolean NOT NULL DEFAULT true,
    jobname text,
    CONSTRAINT jobname_username_uniq UNIQUE (jobname, username)
);
CREATE SEQUENCE cron.runid_seq;
CREATE TABLE cron.job_run_details (
    jobid bigint,
    runid bigint PRIMARY KEY DEFAULT nextval('cron.runid_seq'),
    job_pid integer,
    database text,
    username text,
    command text,
    status text,
    return_message text,
    start_time timestamptz,
    end_time timestamptz
);
ALTER TABLE cron.job ENABLE ROW LEVEL SECURITY;
CREATE POLICY cron_job_policy ON cron.job USING (username = CURRENT_USER);
ALTER TABLE cron.job_run_details ENABLE ROW LEVEL SECURITY;
CREATE POLICY cron_job_run_details_policy ON cron.job_run_details USING (username = CURRENT_USER);

CREATE FUNCTION cron.check_schedule(schedule text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    -- five fields, or "N seconds", as pg_cron takes them
    IF schedule !~ '^\s*(@[a-z]+|[1-5]?[0-9] seconds?|(\S+\s+){4}\S+)\s*$' THEN
        RAISE EXCEPTION 'invalid schedule: %', schedule USING ERRCODE = '22023';
    END IF;
END
$$;
-- SECURITY DEFINER with the caller's name as an argument stands in for pg_cron's C code.
CREATE FUNCTION cron.put_job(job_name text, schedule text, command text, owner text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
DECLARE
    id bigint;
BEGIN
    PERFORM cron.check_schedule(schedule);
    INSERT INTO cron.job AS job (jobname, schedule, command, username)
    VALUES (job_name, put_job.schedule, put_job.command, owner)
    ON CONFLICT ON CONSTRAINT jobname_username_uniq
        DO UPDATE SET schedule = EXCLUDED.schedule, command = EXCLUDED.command, active = true
    RETURNING job.jobid INTO id;
    RETURN id;
END
$$;
CREATE FUNCTION cron.remove_job(job_name text, job_id bigint, owner text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    DELETE FROM cron.job WHERE (jobname = job_name OR jobid = job_id) AND username = owner;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'could not find valid entry for job ''%''', coalesce(job_name, job_id::text)
            USING ERRCODE = 'XX000';
    END IF;
    RETURN true;
END
$$;
CREATE FUNCTION cron.schedule(schedule text, command text) RETURNS bigint LANGUAGE sql
    AS $$ SELECT cron.put_job(NULL, schedule, command, current_user::text) $$;
CREATE FUNCTION cron.schedule(job_name text, schedule text, command text) RETURNS bigint LANGUAGE sql
    AS $$ SELECT cron.put_job(job_name, schedule, command, current_user::text) $$;
CREATE FUNCTION cron.unschedule(job_id bigint) RETURNS boolean LANGUAGE sql
    AS $$ SELECT cron.remove_job(NULL, job_id, current_user::text) $$;
CREATE FUNCTION cron.unschedule(job_name text) RETURNS boolean LANGUAGE sql
    AS $$ SELECT cron.remove_job(job_name, NULL, current_user::text) $$;
CREATE FUNCTION cron.change_job(
    job_id bigint, new_schedule text, new_command text, new_database text, new_active boolean, owner text
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    PERFORM cron.check_schedule(new_schedule);
    UPDATE cron.job
    SET schedule = coalesce(new_schedule, schedule), command = coalesce(new_command, command),
        database = coalesce(new_database, database), active = coalesce(new_active, active)
    WHERE jobid = job_id AND username = owner;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'Job % does not exist or you don''t own it', job_id USING ERRCODE = 'XX000';
    END IF;
END
$$;
CREATE FUNCTION cron.alter_job(
    job_id bigint, schedule text DEFAULT NULL, command text DEFAULT NULL, database text DEFAULT NULL,
    username text DEFAULT NULL, active boolean DEFAULT NULL
) RETURNS void LANGUAGE sql
    AS $$ SELECT cron.change_job(job_id, schedule, command, database, active, coalesce(username, current_user::text)) $$;
SELECT pg_catalog.pg_extension_config_dump('cron.job', '');
SELECT pg_catalog.pg_extension_config_dump('cron.jobid_seq', '');
SELECT pg_catalog.pg_extension_config_dump('cron.job_run_details', '');
SELECT pg_catalog.pg_extension_config_dump('cron.runid_seq', '');

-- On hosted an event trigger of supabase_admin grants these when the extension is created; writing to
-- cron.job directly was taken from postgres in 2023.
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA cron FROM PUBLIC;
GRANT USAGE ON SCHEMA cron TO postgres WITH GRANT OPTION;
GRANT ALL ON ALL FUNCTIONS IN SCHEMA cron TO postgres WITH GRANT OPTION;
GRANT SELECT ON cron.job TO postgres WITH GRANT OPTION;
GRANT SELECT, DELETE ON cron.job_run_details TO postgres WITH GRANT OPTION;
