"""The test database has hosted Supabase's edges: what the role `postgres` may do, and what it may not.

Facts: supabase/postgres (migrations and the expected results of its tests), supabase/storage, Supabase's documentation.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import errors

from tests.conftest import Database
from tests.support import oracle

OWNER = uuid.UUID("00000000-0000-4000-8000-00000000000a")
STRANGER = uuid.UUID("00000000-0000-4000-8000-00000000000b")


@pytest.fixture
def postgres(database: Database) -> Iterator[psycopg.Connection]:
    """A session as role postgres, autocommit."""
    with psycopg.connect(database.url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def admin(database: Database) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database.admin_url, autocommit=True) as connection:
        yield connection


def become(connection: psycopg.Connection, role: str, user: uuid.UUID | None = None) -> None:
    """What PostgREST does at the start of a request's transaction."""
    claims = json.dumps({"role": role, "sub": str(user) if user else None, "email": "a@example.org"})
    connection.execute(
        "SELECT set_config('role', %s, true), set_config('request.jwt.claims', %s, true)", [role, claims]
    )


class TestRolePostgres:
    def test_attributes(self, postgres):
        columns = "rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls, rolcanlogin"
        row = postgres.execute(f"SELECT {columns} FROM pg_roles WHERE rolname = current_user").fetchone()
        assert row == (False, True, True, True, True, True)

    @pytest.mark.parametrize(
        "role",
        [
            "supabase_admin",
            "supabase_auth_admin",
            "supabase_storage_admin",
            "supabase_realtime_admin",
            "dashboard_user",
        ],
    )
    def test_cannot_alter_reserved_roles(self, postgres, role):
        with pytest.raises(errors.InsufficientPrivilege):
            postgres.execute(f"ALTER ROLE {role} WITH PASSWORD 'x'")

    @pytest.mark.parametrize("role", ["supabase_admin", "supabase_auth_admin", "supabase_storage_admin"])
    def test_cannot_become_an_admin(self, postgres, role):
        with pytest.raises(errors.InsufficientPrivilege):
            postgres.execute(f"SET ROLE {role}")

    @pytest.mark.parametrize("role", ["anon", "authenticated", "service_role", "authenticator"])
    def test_may_become_the_api_roles(self, postgres, role):
        postgres.execute(f"SET ROLE {role}")
        assert postgres.execute("SELECT current_user").fetchone() == (role,)

    def test_may_create_roles_and_set_an_api_roles_parameters(self, postgres):
        name = f"app_{uuid.uuid4().hex}"
        postgres.execute(f"CREATE ROLE {name}")
        postgres.execute(f"GRANT anon TO {name}")
        postgres.execute(f"DROP ROLE {name}")
        postgres.execute("ALTER ROLE authenticator SET pgrst.db_aggregates_enabled = 'true'")
        postgres.execute("ALTER ROLE authenticator RESET pgrst.db_aggregates_enabled")

    def test_may_not_store_settings_of_its_own(self, postgres, database):
        with pytest.raises(errors.InsufficientPrivilege, match="permission denied to set parameter"):
            postgres.execute(f"ALTER DATABASE {database.name} SET app.settings.jwt_secret = 'x'")

    def test_may_set_session_replication_role(self, postgres):
        postgres.execute("SET session_replication_role = replica")
        assert postgres.execute("SHOW session_replication_role").fetchone() == ("replica",)

    def test_owns_the_database_and_so_public(self, postgres, database):
        postgres.execute("CREATE TABLE public.tracks (id int)")
        owner = postgres.execute("SELECT datdba::regrole::text FROM pg_database WHERE datname = %s", [database.name])
        assert owner.fetchone() == ("postgres",)
        schema = postgres.execute("SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'public'")
        assert schema.fetchone() == ("pg_database_owner",)

    @pytest.mark.parametrize("name", ["pg_trgm", "citext", "uuid-ossp", "pg_cron", "pg_net", "pg_stat_statements"])
    def test_may_create_extensions(self, postgres, name):
        postgres.execute(f'CREATE EXTENSION IF NOT EXISTS "{name}"')

    @pytest.mark.parametrize("name", ["file_fdw", "pageinspect"])
    def test_may_not_create_unsafe_extensions(self, postgres, name):
        with pytest.raises(errors.InsufficientPrivilege):
            postgres.execute(f'CREATE EXTENSION "{name}"')


class TestOtherRoles:
    @pytest.mark.parametrize(
        ("role", "setting", "value"),
        [
            ("anon", "statement_timeout", "3s"),
            ("authenticated", "statement_timeout", "8s"),
            ("authenticator", "statement_timeout", "8s"),
            ("authenticator", "lock_timeout", "8s"),
            ("postgres", "search_path", '"\\$user", public, extensions'),
            ("supabase_auth_admin", "search_path", "auth"),
            ("supabase_storage_admin", "search_path", "storage"),
        ],
    )
    def test_settings(self, postgres, role, setting, value):
        (settings,) = postgres.execute("SELECT rolconfig FROM pg_roles WHERE rolname = %s", [role]).fetchone()
        assert f"{setting}={value}" in settings

    def test_global_statement_timeout(self, postgres):
        assert postgres.execute("SHOW statement_timeout").fetchone() == ("2min",)

    def test_authenticator_gets_its_timeout_and_no_privileges_of_its_own(self, database):
        with psycopg.connect(database.url_as("authenticator"), autocommit=True) as connection:
            assert connection.execute("SHOW statement_timeout").fetchone() == ("8s",)
            with pytest.raises(errors.InsufficientPrivilege):
                connection.execute("SELECT * FROM auth.users")

    def test_read_only_user_reads_everything_and_writes_nothing(self, postgres, database):
        postgres.execute("CREATE TABLE notes (id int); ALTER TABLE notes ENABLE ROW LEVEL SECURITY")
        postgres.execute("INSERT INTO notes VALUES (1)")
        with psycopg.connect(database.url_as("supabase_read_only_user"), autocommit=True) as reader:
            assert reader.execute("SELECT id FROM notes").fetchall() == [(1,)]
            with pytest.raises(errors.InsufficientPrivilege):
                reader.execute("DELETE FROM notes")


class TestDefaultPrivileges:
    @pytest.mark.parametrize("creator", ["url", "admin_url"])
    def test_new_tables_in_public_are_open_to_the_api_roles(self, database, postgres, creator):
        oracle.psql(getattr(database, creator), "CREATE TABLE public.t (id bigserial); CREATE SEQUENCE public.s;")
        for role in ("anon", "authenticated", "service_role", "postgres"):
            row = postgres.execute(
                """
                SELECT has_table_privilege(%(role)s, 'public.t', 'SELECT, INSERT, UPDATE, DELETE'),
                    has_sequence_privilege(%(role)s, 'public.s', 'USAGE')
                """,
                {"role": role},
            ).fetchone()
            assert row == (True, True), role

    def test_dump_has_supabase_admins_default_privileges(self, database):
        dump = oracle.schema_dump(database.admin_url)
        assert "ALTER DEFAULT PRIVILEGES FOR ROLE supabase_admin IN SCHEMA public" in dump

    def test_postgres_cannot_set_those_of_supabase_admin(self, postgres):
        with pytest.raises(errors.InsufficientPrivilege):
            postgres.execute(
                "ALTER DEFAULT PRIVILEGES FOR ROLE supabase_admin IN SCHEMA public REVOKE ALL ON TABLES FROM anon"
            )


class TestClaims:
    def test_rls_by_user(self, postgres):
        postgres.execute(
            """
            CREATE TABLE posts (id int, author uuid DEFAULT auth.uid());
            ALTER TABLE posts ENABLE ROW LEVEL SECURITY;
            CREATE POLICY own ON posts FOR ALL TO authenticated USING (auth.uid() = author);
            """
        )
        with postgres.transaction():
            become(postgres, "authenticated", OWNER)
            postgres.execute("INSERT INTO posts (id) VALUES (1)")
        for role, user, seen in [
            ("authenticated", OWNER, [(1,)]),
            ("authenticated", STRANGER, []),
            ("anon", None, []),
            ("service_role", None, [(1,)]),
        ]:
            with postgres.transaction():
                become(postgres, role, user)
                assert postgres.execute("SELECT id FROM posts").fetchall() == seen, role

    def test_functions_read_the_claims(self, postgres):
        with postgres.transaction():
            become(postgres, "authenticated", OWNER)
            row = postgres.execute("SELECT auth.uid(), auth.role(), auth.email(), auth.jwt() ->> 'sub'").fetchone()
        assert row == (OWNER, "authenticated", "a@example.org", str(OWNER))

    def test_functions_without_claims_are_null(self, postgres):
        assert postgres.execute("SELECT auth.uid(), auth.role(), auth.email(), auth.jwt()").fetchone() == (None,) * 4

    def test_the_older_settings_come_first(self, postgres):
        with postgres.transaction():
            become(postgres, "authenticated", STRANGER)
            postgres.execute("SELECT set_config('request.jwt.claim.sub', %s, true)", [str(OWNER)])
            assert postgres.execute("SELECT auth.uid()").fetchone() == (OWNER,)


class TestAuth:
    def test_trigger_on_users_and_reference_to_it(self, postgres):
        postgres.execute(
            """
            CREATE TABLE public.profiles (id uuid PRIMARY KEY REFERENCES auth.users (id) ON DELETE CASCADE, email text);
            CREATE FUNCTION public.handle_new_user() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
                SET search_path = '' AS
                $$ BEGIN INSERT INTO public.profiles VALUES (NEW.id, NEW.email); RETURN NEW; END $$;
            CREATE TRIGGER on_auth_user_created AFTER INSERT ON auth.users
                FOR EACH ROW EXECUTE FUNCTION public.handle_new_user();
            """
        )
        postgres.execute("INSERT INTO auth.users (id, email) VALUES (%s, 'a@example.org')", [OWNER])
        assert postgres.execute("SELECT id, email FROM public.profiles").fetchall() == [(OWNER, "a@example.org")]
        postgres.execute("DELETE FROM auth.users")
        assert postgres.execute("SELECT count(*) FROM public.profiles").fetchone() == (0,)
        postgres.execute("DROP TRIGGER on_auth_user_created ON auth.users")

    @pytest.mark.parametrize(
        "statement",
        [
            "ALTER TABLE auth.users ADD COLUMN nickname text",
            "ALTER TABLE auth.users DISABLE TRIGGER ALL",
            "ALTER TABLE auth.users DISABLE ROW LEVEL SECURITY",
            "CREATE INDEX ON auth.users (phone)",
            "COMMENT ON TABLE auth.users IS 'mine'",
            "DROP TABLE auth.sessions CASCADE",
            "DROP FUNCTION auth.uid() CASCADE",
            "DROP INDEX auth.users_is_anonymous_idx",
            "CREATE TABLE auth.mine (id int)",
            "CREATE OR REPLACE FUNCTION auth.uid() RETURNS uuid LANGUAGE sql AS 'SELECT NULL::uuid'",
            "ALTER TABLE auth.users OWNER TO postgres",
        ],
    )
    @pytest.mark.parametrize("replica", [False, True])
    def test_postgres_is_not_its_owner(self, postgres, database, statement, replica):
        before = oracle.schema_dump(database.admin_url)
        if replica:
            postgres.execute("SET session_replication_role = replica")
        with pytest.raises(errors.InsufficientPrivilege):
            postgres.execute(statement)
        assert oracle.schema_dump(database.admin_url) == before

    def test_says_what_hosted_says(self, postgres):
        with pytest.raises(errors.InsufficientPrivilege, match="must be owner of table users"):
            postgres.execute("ALTER TABLE auth.users ENABLE ROW LEVEL SECURITY")
        with pytest.raises(errors.InsufficientPrivilege, match="permission denied for schema auth"):
            postgres.execute("CREATE FUNCTION auth.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'")

    def test_the_auth_service_may_change_it(self, database):
        with psycopg.connect(database.url_as("supabase_auth_admin"), autocommit=True) as service:
            service.execute("ALTER TABLE users ADD COLUMN nickname text")


class TestStorage:
    @pytest.fixture(autouse=True)
    def _object(self, postgres):
        postgres.execute("INSERT INTO storage.buckets (id, name) VALUES ('media', 'media')")
        postgres.execute(
            "INSERT INTO storage.objects (bucket_id, name, owner_id) VALUES ('media', %s, %s)",
            [f"{OWNER}/cats/tom.min.jpg", str(OWNER)],
        )

    @pytest.mark.parametrize("table", ["objects", "buckets"])
    @pytest.mark.parametrize("url", ["url", "admin_url"])
    def test_sql_delete_is_refused(self, database, table, url):
        with (
            psycopg.connect(getattr(database, url), autocommit=True) as connection,
            pytest.raises(errors.InsufficientPrivilege, match="Use the Storage API instead"),
        ):
            connection.execute(f"DELETE FROM storage.{table} WHERE false")

    def test_sql_delete_is_possible_when_asked_for(self, postgres):
        with postgres.transaction():
            postgres.execute("SET LOCAL storage.allow_delete_query = 'true'")
            postgres.execute("DELETE FROM storage.objects")
        assert postgres.execute("SELECT count(*) FROM storage.objects").fetchone() == (0,)

    def test_path_functions(self, postgres):
        row = postgres.execute(
            "SELECT storage.foldername(name), storage.filename(name), storage.extension(name), path_tokens "
            "FROM storage.objects"
        ).fetchone()
        folder = [str(OWNER), "cats"]
        assert row == (folder, "tom.min.jpg", "jpg", [*folder, "tom.min.jpg"])

    def test_policies(self, postgres):
        postgres.execute(
            """
            CREATE POLICY "own folder" ON storage.objects FOR SELECT TO authenticated
                USING (bucket_id = 'media' AND (storage.foldername(name))[1] = (SELECT auth.uid())::text)
            """
        )
        for user, seen in [(OWNER, 1), (STRANGER, 0)]:
            with postgres.transaction():
                become(postgres, "authenticated", user)
                assert postgres.execute("SELECT count(*) FROM storage.objects").fetchone() == (seen,)
        postgres.execute('ALTER POLICY "own folder" ON storage.objects RENAME TO "their folder"')
        postgres.execute('DROP POLICY "their folder" ON storage.objects')

    @pytest.mark.parametrize(
        "statement",
        [
            "ALTER TABLE storage.objects ENABLE ROW LEVEL SECURITY",
            "CREATE INDEX ON storage.objects (owner_id)",
            "CREATE RULE r AS ON DELETE TO storage.objects DO INSTEAD NOTHING",
            "ALTER TRIGGER protect_objects_delete ON storage.objects RENAME TO gone",
            "DROP FUNCTION storage.protect_delete() CASCADE",
            "COMMENT ON POLICY p ON storage.objects IS 'hosted refuses this'",
        ],
    )
    def test_postgres_is_not_its_owner(self, postgres, statement):
        postgres.execute("CREATE POLICY p ON storage.objects USING (true)")
        with pytest.raises(errors.InsufficientPrivilege):
            postgres.execute(statement)

    def test_a_policy_falls_with_the_function_it_uses(self, postgres):
        postgres.execute(
            """
            CREATE FUNCTION public.may() RETURNS boolean LANGUAGE sql AS 'SELECT true';
            CREATE POLICY p ON storage.objects USING (public.may());
            """
        )
        with pytest.raises(errors.DependentObjectsStillExist):
            postgres.execute("DROP FUNCTION public.may()")
        postgres.execute("DROP FUNCTION public.may() CASCADE")
        assert postgres.execute("SELECT count(*) FROM pg_policy WHERE polname = 'p'").fetchone() == (0,)

    def test_postgres_hands_on_storage_privileges(self, postgres):
        name = f"app_{uuid.uuid4().hex}"
        postgres.execute(f"CREATE ROLE {name}")
        postgres.execute(f"GRANT USAGE ON SCHEMA storage TO {name}")
        postgres.execute(f"GRANT SELECT ON storage.buckets TO {name}")
        postgres.execute(f"REVOKE SELECT ON storage.buckets FROM {name}")
        postgres.execute(f"REVOKE USAGE ON SCHEMA storage FROM {name}")
        postgres.execute(f"DROP ROLE {name}")


class TestRealtime:
    def test_publication_belongs_to_postgres(self, postgres):
        owner = postgres.execute("SELECT pubowner::regrole::text, puballtables FROM pg_publication").fetchall()
        assert owner == [("postgres", False)]
        postgres.execute("CREATE TABLE public.posts (id int PRIMARY KEY)")
        postgres.execute("ALTER PUBLICATION supabase_realtime ADD TABLE public.posts")
        assert postgres.execute("SELECT tablename FROM pg_publication_tables").fetchall() == [("posts",)]

    def test_schema_is_locked(self, postgres):
        assert postgres.execute("SELECT has_schema_privilege('realtime', 'USAGE')").fetchone() == (True,)
        with pytest.raises(errors.InsufficientPrivilege):
            postgres.execute("CREATE TABLE realtime.mine (id int)")

    def test_messages_have_policies_and_are_written(self, postgres):
        postgres.execute("CREATE POLICY read ON realtime.messages FOR SELECT TO authenticated USING (true)")
        postgres.execute("""SELECT realtime.send('{"a": 1}', 'created', 'room:1')""")
        assert postgres.execute("SELECT topic, event, private FROM realtime.messages").fetchall() == [
            ("room:1", "created", True)
        ]


class TestPostgrest:
    def listen(self, database: Database) -> psycopg.Connection:
        listener = psycopg.connect(database.url, autocommit=True)
        listener.execute("LISTEN pgrst")
        return listener

    @pytest.mark.parametrize(
        ("statement", "reloads"),
        [
            ("CREATE TABLE public.t (id int)", True),
            ("DROP TABLE public.existing", True),
            ("COMMENT ON TABLE public.existing IS 'x'", True),
            ("CREATE TEMP TABLE t (id int)", False),
            ("CREATE POLICY p ON storage.objects USING (true)", False),
            ("INSERT INTO public.existing VALUES (1)", False),
        ],
    )
    def test_schema_changes_are_announced(self, database, postgres, statement, reloads):
        postgres.execute("CREATE TABLE public.existing (id int)")
        with self.listen(database) as listener:
            postgres.execute(statement)
            postgres.execute("NOTIFY pgrst, 'end'")
            heard = []
            for notice in listener.notifies(timeout=20):
                if notice.payload == "end":
                    break
                heard.append(notice.payload)
            else:
                pytest.fail("the last notification did not arrive")
        assert heard == (["reload schema"] if reloads else [])

    @pytest.mark.parametrize("name", ["pgrst_ddl_watch", "pgrst_drop_watch", "guard_managed_schemas"])
    def test_event_triggers_belong_to_supabase_admin(self, postgres, name):
        owner = postgres.execute("SELECT evtowner::regrole::text FROM pg_event_trigger WHERE evtname = %s", [name])
        assert owner.fetchone() == ("supabase_admin",)
        with pytest.raises(errors.InsufficientPrivilege):
            postgres.execute(f"ALTER EVENT TRIGGER {name} DISABLE")


class TestStandIns:
    def test_cron_records_jobs(self, postgres):
        (job,) = postgres.execute("SELECT cron.schedule('nightly', '0 3 * * *', 'SELECT 1')").fetchone()
        (again,) = postgres.execute("SELECT cron.schedule('nightly', '0 4 * * *', 'SELECT 2')").fetchone()
        assert job == again
        rows = postgres.execute("SELECT jobname, schedule, command, username FROM cron.job").fetchall()
        assert rows == [("nightly", "0 4 * * *", "SELECT 2", "postgres")]
        with pytest.raises(errors.InsufficientPrivilege):
            postgres.execute("UPDATE cron.job SET command = 'SELECT 3'")
        assert postgres.execute("SELECT cron.unschedule('nightly')").fetchone() == (True,)

    def test_cron_refuses_nonsense(self, postgres):
        with pytest.raises(errors.InvalidParameterValue, match="invalid schedule"):
            postgres.execute("SELECT cron.schedule('j', 'now and then', 'SELECT 1')")

    def test_net_queues_requests(self, postgres, admin):
        postgres.execute("""SELECT net.http_post('http://127.0.0.1/hook', '{"a": 1}'::jsonb)""")
        rows = admin.execute("SELECT method, url, convert_from(body, 'UTF8')::jsonb FROM net.http_request_queue")
        assert rows.fetchall() == [("POST", "http://127.0.0.1/hook", {"a": 1})]

    def test_vault(self, postgres):
        postgres.execute("SELECT vault.create_secret('s3cret', 'api_key')")
        row = postgres.execute("SELECT secret, decrypted_secret FROM vault.decrypted_secrets WHERE name = 'api_key'")
        stored, decrypted = row.fetchone()
        assert decrypted == "s3cret" != stored

    def test_uuid_functions_match_the_rfc(self, postgres):
        row = postgres.execute(
            "SELECT extensions.uuid_generate_v3(extensions.uuid_ns_dns(), 'python.org'), "
            "extensions.uuid_generate_v5(extensions.uuid_ns_dns(), 'python.org'), uuid_generate_v4() IS NOT NULL"
        ).fetchone()
        assert row == (uuid.uuid3(uuid.NAMESPACE_DNS, "python.org"), uuid.uuid5(uuid.NAMESPACE_DNS, "python.org"), True)

    def test_postgres_may_dump_everything(self, database):
        assert "CREATE EXTENSION IF NOT EXISTS pg_cron" in oracle.schema_dump(database.url)
