"""The durable engine: workflows run once, broken ones are told and started again; HTTP does not wait for its import."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from dbos import error as dbos_error

from agent.bootstrap import open_deps, scratch_database
from agent.core.models import DeployRequest
from agent.core.states import Move, State
from agent.deploy.deps import Deps
from agent.deploy.supervisor import STOPPING, Supervisor
from agent.edges import engine, engine_lock
from agent.edges.engine import open_engine
from agent.errors import StoreError
from agent.ports import Ctx
from tests.support.clock import FakeClock
from tests.support.deploying import make_settings


@asynccontextmanager
async def running(folder: Path, body: Any) -> AsyncIterator[engine.Engine]:
    async with open_engine(f"sqlite:///{folder}/engine.db", executor_id="local", body=body) as opened:
        yield opened


async def test_a_workflow_runs_its_steps_once_on_a_loop_of_its_own(tmp_path: Path) -> None:
    calls: list[tuple[str, int]] = []
    here = threading.get_ident()

    async def body(ctx: Ctx) -> str:
        async def action() -> str:
            calls.append((ctx.deploy_id, threading.get_ident()))
            return "verify"

        assert await ctx.step("migrate", action) == "verify"
        return "succeeded"

    async with running(tmp_path, body) as opened:
        await opened.start("20260301-020000-aaaa")
        await opened.ended("20260301-020000-aaaa")
        assert await opened.next_attempt("20260301-020000-aaaa") == 1
        await opened.start("20260301-020000-aaaa")
        await opened.ended("20260301-020000-aaaa")
    [(deploy, thread)] = calls
    assert deploy == "20260301-020000-aaaa"
    assert thread != here
    with sqlite3.connect(tmp_path / "engine.db") as connection:
        assert connection.execute("pragma journal_mode").fetchone() == ("wal",)
    connection.close()


async def test_one_that_runs_is_unfinished_and_one_broken_off_says_why(tmp_path: Path) -> None:
    begun, go_on = threading.Event(), threading.Event()

    async def body(ctx: Ctx) -> str:
        begun.set()
        await asyncio.to_thread(go_on.wait)
        raise OSError("no space left")

    async with running(tmp_path, body) as opened:
        await opened.start("20260301-020000-aaaa")
        await asyncio.to_thread(begun.wait)
        assert await opened.next_attempt("20260301-020000-aaaa") is None
        assert await opened.elsewhere("20260301-020000-aaaa") is False
        assert await opened.reap(["20260301-020000-aaaa"]) == []
        go_on.set()
        with pytest.raises(StoreError, match="20260301-020000-aaaa was broken off: no space left") as caught:
            await opened.ended("20260301-020000-aaaa")
        assert caught.value.code == "engine.broken_off"
        await opened.start("20260301-020000-aaaa", attempt=1)
        with pytest.raises(StoreError):
            await opened.ended("20260301-020000-aaaa")
        assert await opened.next_attempt("20260301-020000-aaaa") == 2


async def test_a_workflow_that_no_process_knows_any_more_is_found_by_its_deploy(tmp_path: Path) -> None:
    async def body(ctx: Ctx) -> str:
        return "succeeded"

    async with running(tmp_path, body) as first:
        await first.start("20260301-020000-aaaa")
        await first.ended("20260301-020000-aaaa")
    async with running(tmp_path, body) as second:
        await second.ended("20260301-020000-aaaa")


async def test_what_its_database_refuses_is_an_error_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def body(ctx: Ctx) -> str:
        return ""

    def refuse(**_: object) -> None:
        raise dbos_error.DBOSException("postgresql://user:secret-word@host/db")

    async with running(tmp_path, body) as opened:
        monkeypatch.setattr(engine.DBOS, "list_workflows", refuse)
        with pytest.raises(StoreError) as caught:
            await opened.next_attempt("a")
    assert caught.value.code == "engine.failed"
    assert "secret-word" not in caught.value.message


# --- several workers on one Postgres ---


END_LOCK_SESSIONS = """
select pg_terminate_backend(pid) from pg_stat_activity
where application_name = 'deploy-agent (alive)' and datname = current_database()
"""


@asynccontextmanager
async def worker(url: str, executor: str, body: Any) -> AsyncIterator[engine.Engine]:
    async with open_engine(url, executor_id=executor, body=body) as opened:
        yield opened


async def test_what_a_dead_worker_left_is_for_those_of_its_project_and_after_a_while(
    database, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = threading.Event()

    async def hangs(ctx: Ctx) -> str:
        begun.set()
        await asyncio.Event().wait()
        return ""

    async def ends(ctx: Ctx) -> str:
        return "succeeded"

    url, left = database.admin_url, ["a"]
    async with worker(url, "shop@one/1#first", hangs) as first:
        await first.start("a")
        await asyncio.to_thread(begun.wait)
        assert await first.reap(left) == [], "it runs here"
    with psycopg.connect(url, autocommit=True) as other:  # what a kill leaves; the engine was closed in order
        other.execute("update dbos.workflow_status set status = 'PENDING'")

    async with worker(url, "other@one/1#second", ends) as second:
        monkeypatch.setattr(engine_lock, "GRACE_S", 0.0)
        assert await second.reap(left) == [], "another project's"
        monkeypatch.undo()

    async with worker(url, "shop@two/1#third", ends) as third:
        assert await third.elsewhere("a")
        assert await third.next_attempt("a") is None
        assert await third.reap([]) == []
        with psycopg.connect(url, autocommit=True) as living:
            living.execute("select pg_advisory_lock(%s)", (engine_lock._key("shop@one/1#first"),))
            monkeypatch.setattr(engine_lock, "GRACE_S", 0.0)
            assert await third.reap(left) == [], "its lock is held"
            monkeypatch.undo()
        assert await third.reap(left) == [], "it may come back"
        assert await third.next_attempt("a") is None

    async with worker(url, "shop@one/1#fourth", ends) as fourth:
        assert await fourth.reap(left) == left, "the same volume: the other has ended"
        assert await fourth.reap(left) == [], "once"
        assert not await fourth.elsewhere("a")
        attempt = await fourth.next_attempt("a")
        assert attempt == 1
        await fourth.start("a", attempt=attempt)
        await fourth.ended("a")


async def test_a_worker_that_was_taken_over_while_it_was_silent_ends(database) -> None:
    begun = threading.Event()

    async def hangs(ctx: Ctx) -> str:
        begun.set()
        await asyncio.Event().wait()
        return ""

    async def works() -> None:
        async with worker(database.admin_url, "shop@one/1#first", hangs) as first:
            await first.start("a")
            await asyncio.to_thread(begun.wait)
            with psycopg.connect(database.admin_url, autocommit=True) as other:
                other.execute("update dbos.workflow_status set status = 'CANCELLED'")
                other.execute(END_LOCK_SESSIONS)
            await asyncio.Event().wait()

    with pytest.raises(StoreError) as caught:
        await works()
    assert caught.value.code == "engine.taken_over"


async def test_while_the_lock_is_lost_no_step_begins_and_nothing_is_started(database) -> None:
    at_step, go_on = threading.Event(), threading.Event()
    news: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
    steps: list[str] = []

    async def body(ctx: Ctx) -> str:
        at_step.set()
        await asyncio.to_thread(go_on.wait)

        async def action() -> str:
            steps.append("step")
            return ""

        return await ctx.step("migrate", action)

    def told(executor: str, why: str) -> None:
        news.put_nowait((executor, why))

    async with open_engine(database.admin_url, executor_id="shop@one/1#first", body=body, on_lock=told) as opened:
        await opened.start("a")
        await asyncio.to_thread(at_step.wait)
        with psycopg.connect(database.admin_url, autocommit=True) as other:
            other.execute(END_LOCK_SESSIONS)
            assert await news.get() == ("shop@one/1#first", "AdminShutdown")
            with pytest.raises(StoreError) as caught:
                await opened.reap([])
            assert caught.value.code == "engine.lock_lost"
            go_on.set()
        assert await news.get() == ("shop@one/1#first", "")
        await opened.ended("a")
        assert steps == ["step"]
        assert await opened.reap([]) == []


def test_serving_does_not_wait_for_the_import_of_the_engine() -> None:
    program = "import sys, agent.serve; sys.exit('dbos' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


# --- the supervisor over it ---


@dataclass
class Scripted:
    """An engine whose workflows all break off at once."""

    started: list[tuple[str, int]] = field(default_factory=list)

    async def start(self, deploy_id: str, *, attempt: int = 0) -> None:
        self.started.append((deploy_id, attempt))

    async def reap(self, deploy_ids: Collection[str]) -> list[str]:
        return []

    async def next_attempt(self, deploy_id: str) -> int | None:
        return len(self.started)

    async def elsewhere(self, deploy_id: str) -> bool:
        return False

    async def ended(self, deploy_id: str) -> None:
        raise AssertionError


@pytest.fixture
async def deps(tmp_path: Path) -> AsyncIterator[Deps]:
    async with open_deps(make_settings("postgresql://postgres:x@127.0.0.1:1/nowhere", tmp_path)) as ports:
        yield replace(ports, clock=FakeClock())


def supervisor(deps: Deps, workflows: Scripted) -> Supervisor:
    return Supervisor(deps, workflows, lambda _message, _fields: None, scratch=scratch_database)


async def test_a_deploy_whose_workflow_breaks_off_is_started_again_with_growing_pauses(deps: Deps) -> None:
    clock, workflows = deps.clock, Scripted()
    one = supervisor(deps, workflows)
    assert await one.adopt() == []
    await deps.store.create("a", DeployRequest(project="test"), now=clock.now())
    began, at = clock.now(), []
    for _ in range(200):
        before = len(workflows.started)
        assert await one.adopt() == ["a"]
        if len(workflows.started) > before:
            at.append(round((clock.now() - began) / timedelta(seconds=1)))
        clock.advance(1)
    assert at == [0, 1, 2, 5, 12, 27, 58, 118, 178]
    assert [attempt for _, attempt in workflows.started] == list(range(len(at)))


async def test_stopping_says_why_and_a_deploy_that_has_ended_is_left_alone(deps: Deps) -> None:
    store, now = deps.store, deps.clock.now()
    await store.create("a", DeployRequest(project="test"), now=now)
    await store.transition("a", expected=State.QUEUED, move=Move.CANCEL, now=now, message="-")
    await store.create("b", DeployRequest(project="test"), now=now)
    assert await supervisor(deps, Scripted()).stop() == ["b"]
    assert (await store.get("b")).cancel_reason == STOPPING
    assert (await store.get("a")).cancel_reason == ""


async def test_the_errands_of_schedules(database, tmp_path: Path) -> None:
    clock = FakeClock(datetime.now(UTC))
    async with open_deps(make_settings(database.url, tmp_path)) as ports:
        deps = replace(ports, clock=clock)
        one = supervisor(deps, Scripted())
        await one.verify_last()
        assert await deps.store.backups() == [], "nothing to verify is no error"

        await deps.store.create("a", DeployRequest(project="test"), now=clock.now())
        errand = asyncio.create_task(one.backup_when_quiet())
        await clock.somebody_sleeps_until(clock.now() + timedelta(seconds=1))
        assert await deps.store.backups() == [], "a deploy is running"
        await deps.store.transition("a", expected=State.QUEUED, move=Move.CANCEL, now=clock.now(), message="-")
        clock.advance(1)
        await errand
        [backup] = await deps.store.backups()
        assert backup.state == "published"

        await one.verify_last()
        [backup] = await deps.store.backups()
        assert backup.state == "verified", "restored on a scratch database and compared"

        await one.prune()
        assert await deps.store.backups() == [backup]


async def test_a_deploy_has_stopped_only_when_its_workflow_has_said_so(deps: Deps) -> None:
    store, now = deps.store, deps.clock.now()
    await store.create("a", DeployRequest(project="test"), now=now)
    asked, told = asyncio.Event(), asyncio.Event()

    class Telling(Scripted):
        async def next_attempt(self, deploy_id: str) -> int | None:
            return None

        async def ended(self, deploy_id: str) -> None:
            asked.set()
            await told.wait()

    await store.transition("a", expected=State.QUEUED, move=Move.CANCEL, now=now, message="-")
    stopping = asyncio.create_task(supervisor(deps, Telling()).stopped("a"))
    await asked.wait()
    assert not stopping.done()
    told.set()
    await stopping


async def test_a_deploy_that_no_workflow_runs_any_more_has_stopped_when_it_is_final(deps: Deps) -> None:
    store, now = deps.store, deps.clock.now()
    await store.create("a", DeployRequest(project="test"), now=now)
    await store.transition("a", expected=State.QUEUED, move=Move.CANCEL, now=now, message="-")
    await supervisor(deps, Scripted()).stopped("a")
