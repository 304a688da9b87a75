"""Watching a migration on a real Postgres: readings, progress, lock waits; and that watching never gets in the way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from agent.core.models import EventKind, NewEvent, Severity
from agent.core.runbook import Monitor
from agent.deploy.monitors import monitoring
from agent.edges.target import PsycopgSession, PsycopgTarget
from agent.errors import TargetError
from tests.support.clock import START, FakeClock

COUNT = Monitor.model_validate(
    {"name": "Rows", "every": "5s", "sql": "select done, total from progress;", "done": "done", "total": "total"}
)


class Scene:
    """A migration's session, another one, and the events of a watch over the first."""

    def __init__(self, target: PsycopgTarget, migration: PsycopgSession, other: PsycopgSession) -> None:
        self.target = target
        self.migration = migration
        self.other = other
        self.clock = FakeClock()
        self.events: asyncio.Queue[NewEvent] = asyncio.Queue()

    def watch(self, *monitors: Monitor, target: Any = None) -> AbstractAsyncContextManager[None]:
        return monitoring(
            target or self.target, monitors, version="7", pid=self.migration.pid, purpose="test",
            emit=self.events.put_nowait, clock=self.clock,
        )  # fmt: skip

    async def pass_time(self, until: float, seconds: float) -> None:
        """Wait for somebody who sleeps until so many seconds after the start; then let time pass."""
        await self.clock.somebody_sleeps_until(START + timedelta(seconds=until))
        self.clock.advance(seconds)

    async def event(self, kind: EventKind) -> NewEvent:
        """The next event of that kind."""
        while (event := await self.events.get()).kind is not kind:
            pass
        return event

    async def waits_for_a_lock(self) -> None:
        """Until the migration's statement stands in a queue."""
        while not await self.other.value("select cardinality(pg_blocking_pids(%(pid)s))", {"pid": self.migration.pid}):
            await self.other.rows("select pg_sleep(0.005)")


@pytest.fixture
async def scene(database: Any) -> AsyncIterator[Scene]:
    target = PsycopgTarget(SecretStr(database.url))
    async with target.session(purpose="migration") as migration, target.session(purpose="other") as other:
        await other.run("create table progress (done int, total int); insert into progress values (10, 100)")
        yield Scene(target, migration, other)


async def test_readings_and_the_time_that_is_left(scene: Scene) -> None:
    async with scene.watch(COUNT):
        await scene.pass_time(0.5, 0.5)
        first = await scene.event(EventKind.MONITOR)
        assert first.data == {
            "version": "7", "name": "Rows", "values": {"done": 10, "total": 100}, "done": 10.0, "total": 100.0,
            "eta_s": None,
        }  # fmt: skip
        assert first.message == "Rows: 10 of 100"
        await scene.other.run("update progress set done = 30")
        await scene.pass_time(5.5, 5)
        assert (await scene.event(EventKind.MONITOR)).data["eta_s"] == 17.5  # 20 rows in 5 s, 70 to go


async def test_a_migration_that_is_done_at_once_is_not_looked_at(scene: Scene) -> None:
    opened: list[str] = []

    class Counting:
        @asynccontextmanager
        async def session(self, *, purpose: str) -> AsyncIterator[PsycopgSession]:
            opened.append(purpose)
            async with scene.target.session(purpose=purpose) as session:
                yield session

    async with scene.watch(COUNT, target=Counting()):
        await scene.pass_time(0.5, 0)
    assert opened == []
    async with scene.watch(COUNT, target=Counting()):
        await scene.pass_time(0.5, 0.5)
        await scene.event(EventKind.MONITOR)
    assert opened == ["test", "test"]
    gone = "select count(*) = 0 from pg_stat_activity where application_name = 'deploy-agent/test'"
    while not await scene.other.value(gone):  # the server takes a moment to end a backend
        await scene.other.rows("select pg_sleep(0.005)")


@pytest.mark.parametrize(
    ("monitor", "told"),
    [
        ({"sql": "select done from nowhere"}, "nowhere"),
        ({"sql": "select done from progress where false"}, "0 rows"),
        ({"sql": "select done from progress", "done": "donne"}, "no number called donne"),
        ({"sql": "delete from progress returning done"}, "read-only"),
    ],
)
async def test_what_cannot_be_read_is_told_once_and_the_others_go_on(
    scene: Scene, monitor: dict[str, Any], told: str
) -> None:
    broken = Monitor.model_validate({"name": "Broken", "every": "5s"} | monitor)
    seen: list[NewEvent] = []
    async with scene.watch(broken, COUNT):
        for moment, seconds in ((0.5, 0.5), (5.5, 5), (10.5, 5)):
            await scene.pass_time(moment, seconds)
            while not seen or seen[-1].data.get("name") != "Rows" or seen[-1].at < scene.clock.now():
                seen.append(await scene.events.get())
    logs = [event for event in seen if event.kind is EventKind.LOG]
    assert [(event.severity, told in event.message) for event in logs] == [(Severity.WARNING, True)]
    assert [event.data["name"] for event in seen if event.kind is EventKind.MONITOR].count("Rows") == 3
    assert await scene.other.value("select count(*) from progress") == 1


async def test_a_target_that_cannot_be_reached_is_told_and_harms_nothing(scene: Scene) -> None:
    class Unreachable:
        def session(self, *, purpose: str) -> AbstractAsyncContextManager[PsycopgSession]:
            raise TargetError("nobody there", code="target.unreachable")

    async with scene.watch(COUNT, target=Unreachable()):
        await scene.pass_time(0.5, 0.5)
        assert {(await scene.events.get()).severity for _ in range(2)} == {Severity.WARNING}


async def test_an_error_of_the_migration_passes_through(scene: Scene) -> None:
    with pytest.raises(ZeroDivisionError):
        async with scene.watch(COUNT):
            _ = 1 / 0


async def test_who_is_in_the_way(scene: Scene) -> None:
    async with scene.other.transaction():
        await scene.other.run("lock table progress")
        blocked = asyncio.create_task(scene.migration.run("alter table progress add column x int"))
        await scene.waits_for_a_lock()
        async with scene.watch():
            await scene.pass_time(0.5, 0.5)
            event = await scene.event(EventKind.LOCK_WAIT)
            await scene.pass_time(1.5, 1)  # the same blocker is not told twice
            await scene.clock.somebody_sleeps_until(START + timedelta(seconds=2.5))
            assert scene.events.empty()
        assert [blocker["pid"] for blocker in event.data["blockers"]] == [scene.other.pid]
        assert set(event.data["blockers"][0]) >= {"pid", "user", "application", "query", "seconds"}
        assert (event.data["version"], event.severity) == ("7", Severity.WARNING)
        assert f"pid {scene.other.pid}" in event.message
    await blocked


async def test_a_monitor_never_holds_the_migration_up(scene: Scene) -> None:
    slow = Monitor.model_validate({"name": "Slow", "sql": "select count(*), pg_sleep(25) from progress"})
    asking = "select count(*) from pg_stat_activity where query like 'select count(*), pg_sleep%'"
    async with scene.watch(slow):
        await scene.pass_time(0.5, 0.5)
        while not await scene.other.value(asking):
            await scene.other.rows("select pg_sleep(0.005)")
        altered = asyncio.create_task(scene.migration.run("alter table progress add column x int"))
        await scene.waits_for_a_lock()
        await scene.pass_time(1.5, 1)
        assert await altered == "ALTER TABLE"
    assert scene.events.empty()


async def test_the_servers_own_progress(scene: Scene) -> None:
    await scene.other.run(
        "create function gate(int) returns int immutable language plpgsql as"
        " $$ begin perform pg_advisory_xact_lock_shared(1); return $1; end $$"
    )
    async with scene.other.transaction():
        await scene.other.rows("select pg_advisory_xact_lock(1)")
        built = asyncio.create_task(scene.migration.run("create index on progress (gate(done))"))
        await scene.waits_for_a_lock()
        async with scene.watch():
            await scene.pass_time(0.5, 0.5)
            event = await scene.event(EventKind.PROGRESS)
    assert await built == "CREATE INDEX"
    assert (event.data["what"], event.data["version"]) == ("create index on progress", "7")
    assert event.data["phase"].startswith("building index")
    assert event.data["total"] >= event.data["done"] >= 0
