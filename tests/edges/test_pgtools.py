"""The client programs: found, version-checked, run without a password in sight, ended with all their children."""

from __future__ import annotations

import asyncio
import hashlib
import os
import stat
from pathlib import Path

import pytest
from pydantic import SecretStr

from agent.core.backups import StoredFile
from agent.deploy.snapshot import exported
from agent.edges.pgtools import PostgresTools
from agent.edges.pgtools_hash import TailHasher
from agent.edges.target import PsycopgTarget
from agent.errors import BackupError, InputError, ToolError
from tests.conftest import Database

_PROGRAMS = ("pg_dump", "pg_restore", "psql")


def make_tools(folder: Path, script: str) -> Path:
    """Real programs, for what is asked of them here: `script` is what each does."""
    folder.mkdir(parents=True)
    for name in _PROGRAMS:
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return folder


def prints(version: str) -> str:
    return f'case "$1" in --version) echo "$(basename "$0") (PostgreSQL) {version}" ;; *) exit 1 ;; esac'


async def nothing(_: StoredFile) -> None:
    return None


async def dump(tools: PostgresTools, database: Database, into: Path, **more: object) -> str:
    async with exported(PsycopgTarget(SecretStr(database.url)), purpose="test") as (_, snapshot_id):
        return await tools.dump(
            **{
                "server_major": 17,
                "schemas": ["public"],
                "snapshot_id": snapshot_id,
                "into": into,
                "jobs": 2,
                "on_progress": lambda _: None,
                "on_file": nothing,
                **more,
            }
        )


async def fill(database: Database, rows: int) -> None:
    async with PsycopgTarget(SecretStr(database.url)).session(purpose="test") as session:
        for table in ("a", "b", "c"):
            await session.run_many(
                [
                    f"CREATE TABLE public.{table} (id int, text text)",
                    f"INSERT INTO public.{table} SELECT n, repeat(md5(n::text), 2) FROM generate_series(1, {rows}) n",
                ]
            )


async def test_the_newest_tools_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    older = make_tools(tmp_path / "older", prints("16.4"))
    newest = make_tools(tmp_path / "newest", prints("99.2"))
    monkeypatch.setenv("PATH", f"{older}:{newest}:{os.environ['PATH']}")
    found = await PostgresTools(SecretStr("postgresql://localhost/x")).versions()
    assert found == {str(newest / name): "99.2" for name in _PROGRAMS}


async def test_a_folder_from_the_settings_is_the_only_one(tmp_path: Path):
    tools = PostgresTools(SecretStr("postgresql://localhost/x"), folder=tmp_path)
    with pytest.raises(ToolError) as caught:
        await tools.versions()
    assert caught.value.code == "tool.not_found"
    assert str(tmp_path) in caught.value.message
    assert "postgresql-client" in caught.value.hint


async def test_a_folder_that_lacks_one_program_does_not_count(tmp_path: Path):
    folder = make_tools(tmp_path / "bin", prints("17.1"))
    (folder / "psql").unlink()
    with pytest.raises(ToolError):
        await PostgresTools(SecretStr("postgresql://localhost/x"), folder=folder).versions()


async def test_old_tools_are_refused_before_they_run(tmp_path: Path, database: Database):
    folder = make_tools(tmp_path / "bin", prints("14.9 (Debian 14.9-1.pgdg120+1)"))
    tools = PostgresTools(SecretStr(database.url), folder=folder)
    with pytest.raises(ToolError) as caught:
        await dump(tools, database, tmp_path / "out")
    assert caught.value.code == "tool.too_old"
    assert f"14.9 in {folder}" in caught.value.message
    assert "17" in caught.value.message
    assert "postgresql-client-17" in caught.value.hint
    assert not (tmp_path / "out").exists()


async def test_a_bad_url_is_refused_without_being_shown():
    with pytest.raises(InputError) as caught:
        PostgresTools(SecretStr("postgresql://u:geheim@host:port/x y"))
    assert caught.value.code == "input.database_url"
    assert "geheim" not in caught.value.message


async def test_the_password_is_in_no_argument_no_variable_and_no_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("PGPASSWORD", "of somebody else")
    monkeypatch.setenv("PGSERVICE", "elsewhere")
    seen, passed = tmp_path / "seen", tmp_path / "passed"
    look = f'{{ echo "$@"; env; }} >> {seen}; [ -z "$PGPASSFILE" ] || cat "$PGPASSFILE" > {passed}'
    script = f'{look}; echo "pg_dump: error: no way in with geh eim\'" >&2; ' + prints("17.1")
    folder = make_tools(tmp_path / "bin", script)
    dsn = SecretStr("postgresql://app:geh%20eim%27@127.0.0.1:1/shop?sslmode=require&tcp_user_timeout=5000")
    tools = PostgresTools(dsn, folder=folder)
    with pytest.raises(ToolError) as caught:
        await tools.dump(
            server_major=17,
            schemas=['we"ird', "public"],
            snapshot_id="1-1-1",
            into=tmp_path / "out",
            jobs=3,
            on_progress=lambda _: None,
            on_file=nothing,
        )
    assert caught.value.code == "tool.failed"
    assert "geh eim" not in caught.value.message
    assert "no way in with ***" in caught.value.message
    lines = seen.read_text().splitlines()
    [arguments] = [line for line in lines if "--format=directory" in line]
    assert "geh eim" not in arguments
    assert '--schema="we""ird" --schema="public"' in arguments
    assert "tcp_user_timeout='5000'" in arguments
    assert passed.read_text() == "*:*:*:*:geh eim'\n"
    assert "geh eim" not in seen.read_text()
    assert not any(line.startswith("PGPASSWORD") for line in lines)
    assert "PGHOST=127.0.0.1" in lines
    assert "PGSSLMODE=require" in lines
    assert "PGAPPNAME=deploy-agent/tools" in lines
    assert not any(line.startswith("PGSERVICE") for line in lines)


async def test_files_are_reported_with_their_size_and_hash(tmp_path: Path, database: Database):
    await fill(database, 20_000)
    tools = PostgresTools(SecretStr(database.url))
    files: list[StoredFile] = []
    seen: list[int] = []

    async def keep(file: StoredFile) -> None:
        files.append(file)

    version = await dump(tools, database, tmp_path / "out", on_file=keep, on_progress=seen.append)
    assert version.startswith("17.")
    assert {file.name: (file.bytes, file.sha256) for file in files} == {
        path.name: (path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in (tmp_path / "out").iterdir()
    }
    assert len([file for file in files if file.name.endswith(".dat.zst")]) == 3
    assert seen[-1] == sum(file.bytes for file in files)
    assert "TABLE DATA public a" in await tools.listing(tmp_path / "out")


async def test_what_is_no_archive_is_unreadable(tmp_path: Path, database: Database):
    (tmp_path / "toc.dat").write_text("nonsense")
    with pytest.raises(BackupError) as caught:
        await PostgresTools(SecretStr(database.url)).listing(tmp_path)
    assert caught.value.code == "backup.unreadable"


async def test_a_cut_connection_has_a_name(tmp_path: Path, database: Database):
    await fill(database, 200_000)
    target = PsycopgTarget(SecretStr(database.url))
    async with target.session(purpose="test") as session:
        running = asyncio.create_task(dump(PostgresTools(SecretStr(database.url)), database, tmp_path / "out"))
        copying = (
            "SELECT pid FROM pg_stat_activity WHERE application_name = 'deploy-agent/tools' AND query LIKE 'COPY%'"
        )
        while not (pid := await session.value(copying)):
            assert not running.done(), "the dump ended before it could be cut"
        await session.value(f"SELECT pg_terminate_backend({pid})")
        with pytest.raises(BackupError) as caught:
            await running
    assert caught.value.code == "backup.connection_lost"


async def test_an_exclusive_lock_has_a_name(tmp_path: Path, database: Database):
    await fill(database, 10)
    target = PsycopgTarget(SecretStr(database.url))
    tools = PostgresTools(SecretStr(database.url), lock_wait_s=0.2)
    async with target.session(purpose="shop") as shop, shop.transaction():
        await shop.run("LOCK TABLE public.a")
        with pytest.raises(BackupError) as caught:
            await dump(tools, database, tmp_path / "out")
    assert caught.value.code == "backup.lock_not_available"
    assert "LOCK TABLE public.a" in caught.value.message


async def test_cancelling_ends_the_program_and_its_children(tmp_path: Path, database: Database):
    await fill(database, 10)
    target = PsycopgTarget(SecretStr(database.url))
    async with target.session(purpose="shop") as shop:
        async with shop.transaction():
            await shop.run("LOCK TABLE public.a")
            running = asyncio.create_task(dump(PostgresTools(SecretStr(database.url)), database, tmp_path / "out"))
            waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'public.a'::regclass"
            while not await shop.value(waiting):
                assert not running.done()
            running.cancel()
            with pytest.raises(asyncio.CancelledError):
                await running
        left = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'deploy-agent/tools'"
        async with asyncio.timeout(10):
            while await shop.value(left):
                await asyncio.sleep(0.05)


_STUBBORN = """
case "$1" in
    --version) echo "x (PostgreSQL) 17.1" ;;
    *) trap "" TERM; echo $$ > {pid}; sleep 60 & wait; sleep 60 ;;
esac"""


async def test_a_program_that_ignores_sigterm_is_killed(
    tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("agent.edges.pgtools_process._GRACE_S", 0.2)
    pid_file = tmp_path / "pid"
    tools = PostgresTools(SecretStr(database.url), folder=make_tools(tmp_path / "bin", _STUBBORN.format(pid=pid_file)))
    await tools.versions()
    running = asyncio.create_task(dump(tools, database, tmp_path / "out"))
    while not pid_file.exists() or not pid_file.read_text():
        assert not running.done()
        await asyncio.sleep(0.02)
    pid = int(pid_file.read_text())
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_growing_file_is_hashed_once_and_closed(tmp_path: Path):
    hasher = TailHasher(tmp_path)
    with (tmp_path / "7.dat").open("wb", buffering=0) as stream:
        stream.write(b"abc")
        assert hasher.advance() == []
        assert hasher.bytes == 3
        stream.write(b"def" * 1_000_000)
    [file] = hasher.advance({"7"})
    assert file == StoredFile(
        name="7.dat", bytes=3_000_003, sha256=hashlib.sha256(b"abc" + b"def" * 1_000_000).hexdigest()
    )
    assert hasher.advance(all_complete=True) == []
    (tmp_path / "toc.dat").write_bytes(b"x")
    assert [file.name for file in hasher.advance(all_complete=True)] == ["toc.dat"]
    hasher.close()
