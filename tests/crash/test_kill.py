"""A worker that is killed at any call to the database, and the one that comes after it.

The child is forked and leaves with `os._exit`, so nothing of it cleans up. By default a spread of the calls is tried;
`DEPLOY_AGENT_TEST_EVERY_CALL=1` tries each one.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import psycopg
import pytest

from agent.bootstrap import open_deps
from agent.core.models import DeployRequest
from agent.deploy.supervisor import queue
from agent.deploy.workflow import run_deploy
from agent.edges.target_session import PsycopgSession
from tests.conftest import TEMPLATE
from tests.support.aside import run_aside
from tests.support.deploying import PlainCtx, make_settings, write_migrations
from tests.support.oracle import psql, rows, schema_dump, table_hashes

KILLED = 137
SPREAD = 9
BASE = "create table public.notes (id int primary key, body text not null); insert into public.notes values (1, 'a');"
GOOD = {
    "001_tags.sql": "create table public.tags (id int primary key);\ninsert into public.tags values (1);",
    "002_index.sql": "create index concurrently notes_body on public.notes (body);",
    "003_own.sql": "begin;\nupdate public.notes set body = 'b';\ncommit;",
    "004_more.sql": "insert into public.notes values (2, 'c');",
}
DUPLICATE = 'target.statement_failed: duplicate key value violates unique constraint "notes_pkey"'
BAD = {**GOOD, "005_bad.sql": "insert into public.notes values (1, 'again');"}


def whole(database) -> tuple[str, dict[str, str]]:
    return schema_dump(database.admin_url, without=()), table_hashes(database.admin_url)


def in_child(work) -> int:
    """Run in a forked process; its exit code. 0: it came to its end."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            asyncio.run(work())
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def counting(limit: int, *, after: bool) -> list[int]:
    """From now on in this process: leave at the call of that number, before it is sent or after it was answered."""
    calls = [0]

    def counted(call):
        async def wrapped(self, *args, **more):
            calls[0] += 1
            number = calls[0]
            if number == limit and not after:
                os._exit(KILLED)
            result = await call(self, *args, **more)
            if number == limit and after:
                os._exit(KILLED)
            return result

        return wrapped

    PsycopgSession._query = counted(PsycopgSession._query)
    psycopg.AsyncCursor.execute = counted(psycopg.AsyncCursor.execute)  # calls with parameters
    return calls


def points(total: int) -> list[int]:
    if os.environ.get("DEPLOY_AGENT_TEST_EVERY_CALL"):
        return list(range(1, total + 1))
    return sorted({1 + round(step * (total - 1) / (SPREAD - 1)) for step in range(SPREAD)})


@pytest.mark.parametrize("files", [pytest.param(GOOD, id="good"), pytest.param(BAD, id="bad")])
@pytest.mark.parametrize("after", [False, True], ids=["before-the-call", "after-the-call"])
def test_killed_at_a_call(server, tmp_path: Path, files: dict[str, str], *, after: bool) -> None:
    run_aside(server.create_database("crash_base", template=TEMPLATE))
    try:
        psql(server.url("crash_base"), BASE)
        total = measure(server, tmp_path / "measure", files)
        tried = points(total)
        killed = sum(one_kill(server, tmp_path / str(point), files, point, after=after) for point in tried)
        # How often a running migration is looked at depends on the clock: the last calls may not come.
        assert killed >= len(tried) - 1
    finally:
        run_aside(server.drop_database("crash_base"))


class Copy:
    """A database of its own for one kill."""

    def __init__(self, server, name: str) -> None:
        self.url, self.admin_url = server.url(name), server.admin_url(name)


def measure(server, folder: Path, files: dict[str, str]) -> int:
    """How many calls a deploy makes that nobody kills."""
    run_aside(server.create_database("crash_measure", template="crash_base"))
    try:
        write_migrations(folder, files)
        settings = make_settings(server.url("crash_measure"), folder)
        count = folder / "calls"
        expected = ("succeeded", "") if files is GOOD else ("restored", DUPLICATE)

        async def work() -> None:
            calls = counting(0, after=False)
            await start(settings)
            count.write_text(str(calls[0]))

        assert in_child(work) == 0
        assert run_aside(outcome(settings)) == expected  # else what is counted and killed is another deploy
        return int(count.read_text())
    finally:
        run_aside(server.drop_database("crash_measure"))


async def start(settings) -> None:
    """Queue a deploy, or go on with the one that is there."""
    async with open_deps(settings) as deps:
        known = await deps.store.deploys(limit=1)
        if not known:
            request = DeployRequest(project=settings.project, strategy="per_migration")
            known = [await queue(deps, request)]
        await run_deploy(PlainCtx(known[0].id), deps)


def one_kill(server, folder: Path, files: dict[str, str], point: int, *, after: bool) -> bool:
    """Kill a deploy at that call and let another worker bring it to its end; False: it ended before that call."""
    name = f"crash_{point}"
    run_aside(server.create_database(name, template="crash_base"))
    try:
        copy = Copy(server, name)
        write_migrations(folder, files)
        settings = make_settings(copy.url, folder)
        before = whole(copy)

        async def killed() -> None:
            counting(point, after=after)
            await start(settings)

        code = in_child(killed)
        assert code in {KILLED, 0}
        assert in_child(lambda: start(settings)) == 0

        state, failure = run_aside(outcome(settings))
        context = f"killed {'after' if after else 'before'} call {point}: {state}, {failure}"
        if state == "succeeded":
            assert files is GOOD, context
            applied = rows(copy.url, "select version from supabase_migrations.schema_migrations order by 1")
            assert [row[0] for row in applied] == ["001", "002", "003", "004"], context
            assert rows(copy.url, "select id, body from public.notes order by 1") == [(1, "b"), (2, "c")], context
            valid = "select indisvalid from pg_index where indexrelid = 'notes_body'::regclass"
            assert rows(copy.url, valid) == [(True,)], context
        else:
            assert state in {"rolled_back", "restored"}, context
            assert not failure.startswith("agent.bug"), context
            assert whole(copy) == before, context
        assert not rows(copy.url, "select 1 from pg_class where relname like 'deploy\\_agent%'"), context
        return code == KILLED
    finally:
        run_aside(server.drop_database(name))


async def outcome(settings) -> tuple[str, str]:
    async with open_deps(settings) as deps:
        [deploy] = await deps.store.deploys(limit=2)
        return deploy.state.value, f"{deploy.failure.code}: {deploy.failure.message}" if deploy.failure else ""


async def test_the_statement_of_a_killed_worker_is_ended_before_anything_else(database, tmp_path: Path) -> None:
    """kill -9 while the server is busy: the backend goes on by itself, and would commit."""
    psql(database.url, BASE)
    write_migrations(
        tmp_path,
        {"001_slow.sql": "insert into public.notes values (7, 'zombie');\nselect pg_advisory_lock(4711);"},
    )
    settings = make_settings(database.url, tmp_path)
    async with await psycopg.AsyncConnection.connect(database.admin_url, autocommit=True) as holder:
        await holder.execute("select pg_advisory_lock(4711)")
        pid = os.fork()
        if pid == 0:
            try:
                asyncio.run(start(settings))
            finally:
                os._exit(1)
        waiting = "select pid from pg_locks where locktype = 'advisory' and objid = 4711 and not granted"
        while not (found := await (await holder.execute(waiting)).fetchall()):
            await asyncio.sleep(0.05)
        os.kill(pid, 9)
        await asyncio.to_thread(os.waitpid, pid, 0)
        write_migrations(tmp_path, {"001_slow.sql": "insert into public.notes values (8, 'not what was planned');"})
        [zombie] = found
        async with await psycopg.AsyncConnection.connect(database.admin_url, autocommit=True) as other:
            alive = "select 1 from pg_stat_activity where pid = %s"
            assert await (await other.execute(alive, zombie)).fetchall(), "the backend lives on"
            resumed = asyncio.create_task(asyncio.to_thread(in_child, lambda: start(settings)))
            while await (await other.execute(alive, zombie)).fetchall():
                await asyncio.sleep(0.05)
            await holder.execute("select pg_advisory_unlock(4711)")
            assert await resumed == 0
    assert run_aside(outcome(settings))[0] == "succeeded"
    assert rows(database.url, "select id from public.notes order by 1") == [(1,), (7,)], "once, and as planned"
