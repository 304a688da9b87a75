"""The clock: cron in time zones, slots that run once, and agents that share them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agent.edges.scheduler import Cron, Schedule, Scheduler
from agent.edges.store import SqlStore, open_store
from agent.errors import AgentError, BusyError, InputError, StoreError
from tests.support.clock import FakeClock

BERLIN = "Europe/Berlin"


def slots(cron: str, zone: str, start: str, count: int) -> list[str]:
    """The next slots after a local time, as local times with their offset."""
    tz = ZoneInfo(zone)
    moment = datetime.fromisoformat(start).replace(tzinfo=tz).astimezone(UTC)
    found = []
    for _ in range(count):
        moment = Cron(cron, time_zone=zone).after(moment)
        assert moment.tzinfo is UTC
        found.append(moment.astimezone(tz).strftime("%m-%d %H:%M%z"))
    return found


# --- cron ---


def test_a_slot_lies_after_the_moment() -> None:
    on_time = datetime(2026, 1, 1, 2, 30, tzinfo=UTC)
    assert Cron("30 2 * * *").after(on_time) == on_time + timedelta(days=1)
    assert Cron("30 2 * * *").after(on_time - timedelta(microseconds=1)) == on_time


def test_a_time_zone_is_kept_over_the_year() -> None:
    assert slots("0 3 1 1,7 *", BERLIN, "2026-01-01T12:00", 2) == ["07-01 03:00+0200", "01-01 03:00+0100"]


def test_a_skipped_hour_runs_later() -> None:
    assert slots("30 2 * * *", BERLIN, "2026-03-28T00:00", 3) == [
        "03-28 02:30+0100",
        "03-29 03:30+0200",
        "03-30 02:30+0200",
    ]


def test_a_repeated_hour_runs_once() -> None:
    assert slots("30 2 * * *", BERLIN, "2026-10-24T00:00", 3) == [
        "10-24 02:30+0200",
        "10-25 02:30+0200",
        "10-26 02:30+0100",
    ]


def test_every_half_hour_is_every_half_hour_of_time() -> None:
    assert slots("*/30 * * * *", BERLIN, "2026-10-25T01:45", 5) == [
        "10-25 02:00+0200",
        "10-25 02:30+0200",
        "10-25 02:00+0100",
        "10-25 02:30+0100",
        "10-25 03:00+0100",
    ]


@pytest.mark.parametrize(
    ("weekday", "days"),
    [
        ("0", ["01", "08", "15"]),  # 1 March 2026 is a Sunday
        ("7", ["01", "08", "15"]),
        ("sun", ["01", "08", "15"]),
        ("1", ["02", "09", "16"]),
        ("1-5", ["02", "03", "04", "05", "06", "09"]),
        ("mon-fri", ["02", "03", "04", "05", "06", "09"]),
        ("5-7", ["01", "06", "07", "08"]),
        ("1,3", ["02", "04", "09"]),
        ("*/2", ["01", "03", "05", "07", "08"]),
        ("1/2", ["02", "04", "06", "09"]),
    ],
)
def test_weekdays_count_from_sunday(weekday: str, days: list[str]) -> None:
    assert [slot[3:5] for slot in slots(f"0 3 * * {weekday}", "UTC", "2026-03-01T00:00", len(days))] == days


def test_either_day_field_may_match() -> None:
    found = slots("0 3 13 * 5", "UTC", "2026-03-01T00:00", 6)  # crontab(5): the 13th, and every Friday
    assert [slot[:5] for slot in found] == ["03-06", "03-13", "03-20", "03-27", "04-03", "04-10"]
    assert [slot[:5] for slot in slots("0 3 14 * 5", "UTC", "2026-03-13T04:00", 2)] == ["03-14", "03-20"]


def test_names_of_usual_schedules() -> None:
    assert slots("@daily", "UTC", "2026-03-01T00:00", 1) == ["03-02 00:00+0000"]
    assert slots("@weekly", "UTC", "2026-03-02T00:00", 1) == ["03-08 00:00+0000"]


@pytest.mark.parametrize(
    "cron",
    [
        "",
        "* * * *",
        "* * * * * *",
        "61 * * * *",
        "x * * * *",
        "* * * * 8",
        "* * * * mo",
        "* * * * 5-1",
        "* * * * */0",
        "0 0 31 2 *",
        "@fortnightly",
    ],
)
def test_a_cron_expression_that_is_none(cron: str) -> None:
    with pytest.raises(InputError) as error:
        Cron(cron, name="nightly")
    assert error.value.code == "settings.bad_cron"
    assert "nightly" in error.value.message


@pytest.mark.parametrize("zone", ["Europe/Bonn", "", "../../etc/passwd", "CEST"])
def test_a_time_zone_that_is_none(zone: str) -> None:
    with pytest.raises(InputError) as error:
        Cron("0 3 * * *", time_zone=zone, name="nightly")
    assert error.value.code == "settings.bad_cron"


# --- what is due ---


class Agent:
    """One agent's scheduler, and what it queued."""

    def __init__(self, store: SqlStore, clock: FakeClock, *crons: str) -> None:
        self.queued: list[tuple[str, str]] = []
        self.failures: list[AgentError] = []
        self.errors: list[AgentError] = []
        schedules = [Schedule(name=f"s{number}", kind="backup", cron=Cron(cron)) for number, cron in enumerate(crons)]
        self.scheduler = Scheduler(
            store=store,
            clock=clock,
            schedules=schedules,
            enqueue=self.enqueue,
            on_error=self.errors.append,
            tick_s=0.01,
        )

    async def enqueue(self, kind: str, slot: str) -> None:
        if self.failures:
            raise self.failures.pop(0)
        self.queued.append((kind, slot))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    opened = await open_store(f"sqlite:///{tmp_path}/agent.db")
    yield opened
    await opened.close()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(datetime(2026, 3, 1, 2, 0, tzinfo=UTC))


async def test_a_slot_runs_when_it_is_due_and_once(store: SqlStore, clock: FakeClock) -> None:
    agent = Agent(store, clock, "30 2 * * *")
    await agent.scheduler.tick()
    assert agent.queued == []  # a new schedule has missed nothing
    clock.advance(29 * 60 + 59)
    await agent.scheduler.tick()
    assert agent.queued == []
    clock.advance(1)
    await agent.scheduler.tick()
    await agent.scheduler.tick()
    assert agent.queued == [("backup", "sched:s0:20260301T023000Z")]


async def test_what_was_missed_runs_once(store: SqlStore, clock: FakeClock) -> None:
    await Agent(store, clock, "30 2 * * *").scheduler.tick()
    clock.advance(3 * 86400)
    agent = Agent(store, clock, "30 2 * * *")
    for _ in range(3):
        await agent.scheduler.tick()
    assert agent.queued == [("backup", "sched:s0:20260301T023000Z")]
    clock.advance(3600)
    await agent.scheduler.tick()
    assert agent.queued[1:] == [("backup", "sched:s0:20260304T023000Z")]


async def test_of_two_agents_one_runs_a_slot(tmp_path: Path, store: SqlStore, clock: FakeClock) -> None:
    other = await open_store(f"sqlite:///{tmp_path}/agent.db")
    try:
        crons = [f"{minute} * * * *" for minute in range(5, 25)]
        one, two = Agent(store, clock, *crons), Agent(other, clock, *crons)
        await one.scheduler.tick()
        clock.advance(1800)
        await asyncio.gather(one.scheduler.tick(), two.scheduler.tick())
        queued = one.queued + two.queued
        assert len(queued) == len(set(queued)) == 20
        assert one.errors + two.errors == []
    finally:
        await other.close()


async def test_a_changed_expression_is_another_schedule(store: SqlStore, clock: FakeClock) -> None:
    await Agent(store, clock, "30 2 * * *").scheduler.tick()
    clock.advance(86400)
    agent = Agent(store, clock, "45 * * * *")
    await agent.scheduler.tick()
    assert agent.queued == []
    clock.advance(45 * 60)
    await agent.scheduler.tick()
    assert agent.queued == [("backup", "sched:s0:20260302T024500Z")]


async def test_a_slot_that_cannot_be_queued_is_tried_again(store: SqlStore, clock: FakeClock) -> None:
    agent = Agent(store, clock, "30 2 * * *", "31 2 * * *")
    await agent.scheduler.tick()
    clock.advance(3600)
    agent.failures = [BusyError("a deploy runs", code="busy.deploying")]
    await agent.scheduler.tick()
    assert [error.code for error in agent.errors] == ["busy.deploying"]
    assert agent.queued == [("backup", "sched:s1:20260301T023100Z")]  # nobody waits for the other
    await agent.scheduler.tick()
    assert agent.queued[1:] == [("backup", "sched:s0:20260301T023000Z")]


async def test_it_ticks_by_itself(store: SqlStore, clock: FakeClock) -> None:
    agent = Agent(store, clock, "30 2 * * *")
    await agent.scheduler.tick()
    clock.advance(3600)
    ran = asyncio.Event()

    async def enqueue(kind: str, slot: str) -> None:
        await Agent.enqueue(agent, kind, slot)
        ran.set()

    agent.scheduler._enqueue = enqueue
    await agent.scheduler.start()
    try:
        await ran.wait()
    finally:
        await agent.scheduler.stop()
        await agent.scheduler.stop()
    assert agent.queued == [("backup", "sched:s0:20260301T023000Z")]


async def test_other_things_run_every_so_often_and_survive_failures(store: SqlStore, clock: FakeClock) -> None:
    agent = Agent(store, clock)
    calls: list[int] = []
    thrice = asyncio.Event()

    async def watch() -> None:
        calls.append(len(calls))
        if len(calls) == 1:
            raise StoreError("locked", code="store.locked")
        if len(calls) == 3:
            thrice.set()

    agent.scheduler.every("watch", 0.01, watch)
    await agent.scheduler.start()
    try:
        await thrice.wait()
    finally:
        await agent.scheduler.stop()
    assert [error.code for error in agent.errors] == ["store.locked"]


async def test_stop_ends_what_runs(store: SqlStore, clock: FakeClock) -> None:
    agent = Agent(store, clock)
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            ended.set()

    agent.scheduler.every("work", 0.01, work)
    await agent.scheduler.start()
    await begun.wait()
    await agent.scheduler.stop()
    assert ended.is_set()
