"""The store's edges: a process killed at any moment, damaged and full files, unreachable servers, the volume's lock."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from agent.core.models import DeployRequest, EventKind, NewEvent, OutboxState
from agent.core.states import FINAL, State
from agent.edges import store_engine
from agent.edges.store import SqlStore, open_store
from agent.edges.volume import lock_volume
from agent.errors import BusyError, StoreError
from tests.conftest import Database

NOW = datetime(2026, 3, 1, tzinfo=UTC)
TARGETS = ("chat", "pager")

WRITER = """
import asyncio, random, sys
from datetime import UTC, datetime
from agent.core.models import DeployRequest, EventKind, NewEvent
from agent.core.states import FINAL, TRANSITIONS, State
from agent.edges.store import open_store

async def main(url, seed):
    dice = random.Random(seed)
    store = await open_store(url, notify_targets=["chat", "pager"])
    for number in range(1_000_000):
        deploy, state = f"{seed}-{number}", State.QUEUED
        await store.create(deploy, DeployRequest(project=f"p{seed}"), now=datetime.now(UTC))
        print(deploy, state, flush=True)
        while state not in FINAL:
            now = datetime.now(UTC)
            lines = [NewEvent(kind="log", message="x" * 200, at=now) for _ in range(dice.randrange(20))]
            await store.append(deploy, lines)
            move = dice.choice([move for at, move in TRANSITIONS if at is state])
            state = await store.transition(deploy, expected=state, move=move, now=now, message="m")
            print(deploy, state, flush=True)

asyncio.run(main(sys.argv[1], int(sys.argv[2])))
"""


async def test_a_writer_killed_at_any_moment_leaves_a_whole_store(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/agent.db"
    for seed in range(4):
        told = await asyncio.to_thread(write_until_killed, url, seed, random.Random(seed).randrange(2, 60))
        assert sqlite3.connect(tmp_path / "agent.db").execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        store = await open_store(url, notify_targets=TARGETS)
        try:
            for deploy_id, state in told.items():
                await assert_whole(store, deploy_id, told=state)
            unfinished = [deploy for deploy in await store.deploys(project=f"p{seed}") if deploy.state not in FINAL]
            assert len(unfinished) <= 1
        finally:
            await store.close()


def write_until_killed(url: str, seed: int, lines: int) -> dict[str, State]:
    """Run a writer, kill it after some lines of its output; the last state it reported of each deploy."""
    told: dict[str, State] = {}
    with subprocess.Popen([sys.executable, "-c", WRITER, url, str(seed)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for number, line in enumerate(writer.stdout):
            if number == lines:
                writer.send_signal(signal.SIGKILL)
            if line.endswith("\n"):
                deploy_id, state = line.split()
                told[deploy_id] = State(state)
    assert writer.returncode == -signal.SIGKILL
    return told


async def assert_whole(store: SqlStore, deploy_id: str, *, told: State) -> None:
    deploy = await store.get(deploy_id)
    events = await store.events(deploy_id, limit=100_000)
    changes = [event for event in events if event.kind is EventKind.STATE]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert changes[-1].data["to"] == deploy.state
    assert told in [event.data["to"] for event in changes]  # what was reported is there
    assert [event.data["from"] for event in changes[1:]] == [event.data["to"] for event in changes[:-1]]
    messages = Counter(
        (message.deploy_id, message.event_seq)
        for message in await store.messages(state=OutboxState.PENDING, limit=1_000_000)
        if message.deploy_id == deploy_id
    )
    assert messages == {(deploy_id, event.seq): len(TARGETS) for event in changes}


# --- failures of the file ---


async def opened_with_deploy(tmp_path: Path) -> SqlStore:
    store = await open_store(f"sqlite:///{tmp_path}/agent.db")
    await store.create("d1", DeployRequest(project="p"), now=NOW)
    return store


async def test_sqlite_runs_as_the_store_needs_it(tmp_path: Path) -> None:
    store = await opened_with_deploy(tmp_path)
    try:
        async with store._engine.connect() as connection:
            found = {
                name: (await connection.execute(text(f"PRAGMA {name}"))).scalar()
                for name in ("journal_mode", "foreign_keys", "synchronous")
            }
        assert found == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 2}  # 2 is FULL
    finally:
        await store.close()


async def test_several_may_find_a_new_file_at_once(tmp_path: Path) -> None:
    for number in range(30):
        opened = await asyncio.gather(*(open_store(f"sqlite:///{tmp_path}/{number}/agent.db") for _ in range(3)))
        for store in opened:
            await store.close()


async def test_a_locked_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_engine, "BUSY_TIMEOUT_S", 0.05)
    store = await opened_with_deploy(tmp_path)
    other = sqlite3.connect(tmp_path / "agent.db", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError) as error:
            await store.put_evidence("d1", "plan", "{}")
        assert error.value.code == "store.locked"
        assert (await store.get("d1")).id == "d1"  # readers do not wait
        other.execute("ROLLBACK")
        await store.put_evidence("d1", "plan", "{}")
    finally:
        other.close()
        await store.close()


async def test_a_full_disk(tmp_path: Path) -> None:
    store = await opened_with_deploy(tmp_path)
    try:
        async with store._engine.connect() as connection:  # the pool's only connection so far
            await connection.execute(text("PRAGMA max_page_count = 1"))  # SQLite reports it as a full disk
        big = NewEvent(kind=EventKind.LOG, message="x" * 100_000, at=NOW)
        with pytest.raises(StoreError) as error:
            await store.append("d1", [big])
        assert error.value.code == "store.disk_full"
        assert [event.seq for event in await store.events("d1")] == [1]
    finally:
        await store.close()


async def test_a_read_only_store(tmp_path: Path) -> None:
    store = await opened_with_deploy(tmp_path)
    try:
        async with store._engine.connect() as connection:
            await connection.execute(text("PRAGMA query_only = ON"))  # as on a volume mounted read-only
        with pytest.raises(StoreError) as error:
            await store.put_evidence("d1", "plan", "{}")
        assert error.value.code == "store.read_only"
    finally:
        await store.close()


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "agent.db").write_bytes(b"not a database " * 1000)
    with pytest.raises(StoreError) as error:
        await open_store(f"sqlite:///{tmp_path}/agent.db")
    assert error.value.code == "store.corrupt"


async def test_a_damaged_file(tmp_path: Path) -> None:
    store = await opened_with_deploy(tmp_path)
    await store.append("d1", [NewEvent(kind=EventKind.LOG, message="x" * 500, at=NOW) for _ in range(500)])
    await store.close()
    path = tmp_path / "agent.db"
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)  # the first page, with the header and the schema, stays
    path.write_bytes(content)
    with pytest.raises(StoreError) as error:
        await open_store(f"sqlite:///{path}")
    assert error.value.code == "store.corrupt"


async def test_a_file_that_is_damaged_behind_the_agents_back(tmp_path: Path) -> None:
    store = await opened_with_deploy(tmp_path)
    await store.append("d1", [NewEvent(kind=EventKind.LOG, message="x" * 500, at=NOW) for _ in range(500)])
    await store.close()
    path = tmp_path / "agent.db"
    damaged = SqlStore(f"sqlite:///{path}")
    try:
        with path.open("r+b") as file:
            file.seek(4096)  # the first page, with the header and the schema, stays
            file.write(os.urandom(path.stat().st_size - 4096))
        with pytest.raises(StoreError) as error:
            await damaged.events("d1")
        assert error.value.code == "store.corrupt"
    finally:
        await damaged.close()


async def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError) as error:
        await open_store(f"sqlite:///{tmp_path}/file/agent.db")
    assert error.value.code == "store.cannot_open"


async def test_a_file_that_is_a_folder(tmp_path: Path) -> None:
    (tmp_path / "agent.db").mkdir()
    with pytest.raises(StoreError) as error:
        await open_store(f"sqlite:///{tmp_path}/agent.db")
    assert error.value.code == "store.cannot_open"


# --- failures of the server ---


async def test_an_unreachable_server() -> None:
    with pytest.raises(StoreError) as error:
        await open_store("postgresql://postgres:hunter2secret@127.0.0.1:1/store")
    assert error.value.code == "store.unreachable"
    assert "hunter2secret" not in error.value.message
    assert "127.0.0.1/store" in error.value.message


async def test_a_missing_database(database: Database) -> None:
    with pytest.raises(StoreError) as error:
        await open_store(database.url.replace(f"/{database.name}", "/nowhere"))
    assert error.value.code == "store.refused"
    assert '"nowhere" does not exist' in error.value.message


async def test_a_server_that_goes_away_and_comes_back(database: Database) -> None:
    store = await open_store(database.url)
    try:
        await store.create("d1", DeployRequest(project="p"), now=NOW)
        async with await psycopg.AsyncConnection.connect(database.admin_url) as other:
            await other.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        assert (await store.get("d1")).state is State.QUEUED  # a dead connection in the pool is noticed
    finally:
        await store.close()


async def test_a_role_without_rights(database: Database) -> None:
    with pytest.raises(StoreError) as error:
        await open_store(database.url_as("authenticator"))
    assert error.value.code == "store.no_privilege"


# --- the volume's lock ---


def test_one_agent_a_volume(tmp_path: Path) -> None:
    with lock_volume(tmp_path / "state"):
        with pytest.raises(BusyError) as error, lock_volume(tmp_path / "state"):
            pass
        assert error.value.code == "busy.volume"
        assert error.value.where == {"pid": os.getpid()}
        with lock_volume(tmp_path / "other"):
            pass
    with lock_volume(tmp_path / "state"):
        pass


def test_a_killed_holder_frees_the_volume(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from agent.edges.volume import lock_volume\n"
        "with lock_volume(pathlib.Path(sys.argv[1])):\n    print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BusyError) as error, lock_volume(tmp_path):
            pass
        assert error.value.where == {"pid": holder.pid}
        holder.kill()
        holder.wait()
    with lock_volume(tmp_path):
        pass


def test_git_and_others_do_not_see_it(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    state = tmp_path / "state"
    with lock_volume(state):
        assert (state / "agent.lock").exists()
    assert subprocess.check_output(["git", "-C", tmp_path, "status", "--porcelain"], text=True) == ""
    assert state.stat().st_mode & 0o777 == 0o700
    (state / ".gitignore").unlink()  # somebody wants it so
    with lock_volume(state):
        assert not (state / ".gitignore").exists()


def test_a_state_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError) as error, lock_volume(tmp_path / "file" / "state"):
        pass
    assert error.value.code == "store.cannot_open"
