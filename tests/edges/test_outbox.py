"""Delivery: order, patience, and that nobody waits for anybody else. The store is a real one, on SQLite."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.core.models import Deploy, DeployRequest, Event, EventKind, NewEvent, OutboxMessage, OutboxState
from agent.core.states import Move, State
from agent.deploy.outbox import Outbox, RetryPolicy
from agent.edges.store import SqlStore
from agent.errors import AgentError, DeliveryError, StoreError
from tests.support.clock import FakeClock

REQUEST = DeployRequest(project="tracks-posts")


class Channel:
    """A notifier that records what it is sent, and fails as it is told to."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sent: list[Mapping[str, Any]] = []
        self.tried = 0
        self.failures: list[Exception] = []
        self.open = asyncio.Event()
        self.open.set()
        self._news = asyncio.Event()

    async def send(self, payload: Mapping[str, Any]) -> None:
        self.tried += 1
        self._news.set()
        await self.open.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.sent.append(payload)
        self._news.set()

    async def has(self, *, sent: int = 0, tried: int = 0) -> None:
        while len(self.sent) < sent or self.tried < tried:
            self._news.clear()
            await self._news.wait()

    @property
    def seqs(self) -> list[int]:
        return [payload["seq"] for payload in self.sent]


class Frail(SqlStore):
    """A store whose methods fail as the test says, before they do anything."""

    def __init__(self, url: str, **options: Any) -> None:
        super().__init__(url, **options)
        self.broken: dict[str, list[AgentError]] = {}
        self.asked, self.answer, self.marked = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.answer.set()

    def _fail(self, name: str) -> None:
        if self.broken.get(name):
            raise self.broken[name].pop(0)

    async def due_messages(self, *, now: datetime, limit: int) -> list[OutboxMessage]:
        self._fail("due_messages")
        found = await super().due_messages(now=now, limit=limit)
        self.asked.set()
        await self.answer.wait()
        return found

    async def message_sent(self, message_id: int, *, now: datetime) -> None:
        self._fail("message_sent")
        await super().message_sent(message_id, now=now)
        self.marked.set()


def compose(deploy: Deploy, events: Sequence[Event], seq: int) -> Mapping[str, Any]:
    return {"id": f"{deploy.id}.{seq}", "seq": seq, "known": len(events)}


class House:
    """Store, channels and outbox of one test."""

    def __init__(self, store: Frail) -> None:
        self.store = store
        self.clock = FakeClock()
        self.chat, self.pager = Channel("chat"), Channel("pager")
        self.errors: list[AgentError] = []
        self.told = asyncio.Event()
        self.outbox = self.another_agent()

    def another_agent(self, **policy: float) -> Outbox:
        return Outbox(
            store=self.store,
            notifiers={"chat": self.chat, "pager": self.pager},
            compose=compose,
            clock=self.clock,
            random=lambda: 1.0,
            on_error=self.note,
            policy=RetryPolicy(**policy),  # type: ignore[arg-type]  # attempts is whole in every call
        )

    def note(self, error: AgentError) -> None:
        self.errors.append(error)
        self.told.set()

    async def deploy(self, *moves: Move, deploy_id: str = "d1") -> None:
        await self.store.create(deploy_id, REQUEST, now=self.clock.now())
        state = State.QUEUED
        for move in moves:
            state = await self.store.transition(
                deploy_id, expected=state, move=move, now=self.clock.now(), message=str(move)
            )

    async def counts(self) -> dict[str, int]:
        return {str(state): len(await self.store.messages(state=state)) for state in OutboxState}


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    store = Frail(f"sqlite:///{tmp_path}/agent.db", notify_targets=["chat", "pager"])
    await store.prepare()
    yield House(store)
    await store.close()


@pytest.fixture
async def running(house: House) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(house.outbox.run())
    yield task
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


# --- order and independence ---


async def test_each_target_is_told_everything_in_order(house: House) -> None:
    await house.deploy(Move.START, Move.CLEAR, Move.SNAPPED, Move.FAIL)
    assert await house.outbox.drain(60) == ()
    assert house.chat.seqs == house.pager.seqs == [1, 2, 3, 4, 5]
    assert [payload["known"] for payload in house.chat.sent] == [1, 2, 3, 4, 5]  # told as things stood then
    assert await house.counts() == {"pending": 0, "sent": 10, "dead": 0}
    assert await house.outbox.drain(60) == ()
    assert len(house.chat.sent) == 5


async def test_a_long_story_is_read_to_its_event(house: House) -> None:
    await house.deploy(Move.START)
    line = NewEvent(kind=EventKind.LOG, message="x", at=house.clock.now())
    await house.store.append("d1", [line] * 2500)
    await house.store.transition(
        "d1", expected=State.PREFLIGHT, move=Move.FAIL, now=house.clock.now(), message="", failure=None
    )
    await house.store.append("d1", [line])
    await house.outbox.drain(60)
    assert [(payload["seq"], payload["known"]) for payload in house.chat.sent] == [(1, 1), (2, 2), (2503, 2503)]


async def test_a_dead_target_delays_nobody(house: House, running: asyncio.Task[None]) -> None:
    house.pager.open.clear()
    await house.deploy(Move.START, Move.CLEAR)  # the deploy only writes rows
    house.outbox.wake()
    await house.pager.has(tried=1)
    await house.chat.has(sent=3)
    assert house.chat.seqs == [1, 2, 3]
    assert (house.pager.sent, house.pager.tried) == ([], 1)
    house.pager.open.set()
    await house.pager.has(sent=3)
    assert house.pager.seqs == [1, 2, 3]


async def test_a_failing_target_delays_nobody(house: House) -> None:
    house.pager.failures = [DeliveryError("HTTP 503") for _ in range(3)]
    await house.deploy(Move.START, Move.CLEAR)
    assert await house.outbox.drain(1) == ("pager",)
    assert (house.chat.seqs, house.pager.tried) == ([1, 2, 3], 1)


async def test_news_are_found_by_polling_too(house: House, running: asyncio.Task[None]) -> None:
    await house.clock.somebody_sleeps_until(house.clock.now() + timedelta(seconds=1))
    await house.deploy()
    house.clock.advance(1)
    await house.chat.has(sent=1)


# --- trying again ---


async def test_a_failure_is_tried_again_after_a_growing_wait(house: House) -> None:
    house.chat.failures = [DeliveryError("HTTP 503") for _ in range(3)]
    await house.deploy()
    for wait in (2, 4, 8):  # random gives 1: the longest wait of each round
        assert await house.outbox.drain(0.5) == ("chat",)
        (message,) = [m for m in await house.store.messages(state=OutboxState.PENDING) if m.target == "chat"]
        assert message.due_at == house.clock.now() + timedelta(seconds=wait)
        assert message.last_error == "delivery.failed: HTTP 503"
        house.clock.advance(wait - 0.001)
        assert await house.outbox.drain(0.0005) == ("chat",)
        house.clock.advance(0.001)
    assert await house.outbox.drain(0.5) == ()
    assert (house.chat.tried, house.chat.seqs) == (4, [1])


async def test_retry_after_is_honoured(house: House) -> None:
    house.chat.failures = [DeliveryError("HTTP 429", retry_after=30.0)]
    await house.deploy(Move.START)
    await house.outbox.drain(1)
    (first, _) = sorted(
        (m for m in await house.store.messages(state=OutboxState.PENDING) if m.target == "chat"), key=lambda m: m.id
    )
    assert first.due_at >= house.clock.now() + timedelta(seconds=30)
    house.clock.advance(29.9)
    await house.outbox.drain(0.05)
    assert (house.chat.tried, house.chat.sent) == (1, [])
    house.clock.advance(3)
    await house.outbox.drain(1)
    assert house.chat.seqs == [1, 2]


@pytest.mark.parametrize(
    ("attempts", "retry_after", "random", "seconds"),
    [
        (1, None, 1.0, 2.0),
        (1, None, 0.5, 1.0),
        (5, None, 1.0, 32.0),
        (5, None, 0.0, 0.0),
        (60, None, 1.0, 3600.0),
        (1, 30.0, 0.0, 30.0),
        (9, 30.0, 1.0, 32.0),
        (1, 1e9, 0.0, 3600.0),
    ],
)
def test_the_wait(attempts: int, retry_after: float | None, random: float, seconds: float) -> None:
    wait = RetryPolicy().wait(attempts=attempts, retry_after=retry_after, random=random)
    assert wait == timedelta(seconds=seconds)


async def test_a_permanent_failure_is_a_dead_letter(house: House) -> None:
    house.chat.failures = [DeliveryError("HTTP 410", permanent=True, code="delivery.refused")]
    await house.deploy(Move.START)
    assert await house.outbox.drain(1) == ()
    assert (house.chat.tried, house.chat.seqs) == (2, [2])
    (dead,) = await house.store.messages(state=OutboxState.DEAD)
    assert (dead.target, dead.event_seq, dead.last_error) == ("chat", 1, "delivery.refused: HTTP 410")


async def test_too_many_failures_are_a_dead_letter(house: House) -> None:
    outbox = house.another_agent(attempts=3)
    house.chat.failures = [DeliveryError("HTTP 500") for _ in range(3)]
    await house.deploy(Move.START)
    for _ in range(3):
        await outbox.drain(0)
        await outbox.drain(1)
        house.clock.advance(3600)
    assert (house.chat.tried, house.chat.seqs) == (4, [2])
    assert await house.counts() == {"pending": 0, "sent": 3, "dead": 1}


async def test_a_bug_in_a_notifier_is_recorded_and_tried_again(house: House) -> None:
    house.chat.failures = [ZeroDivisionError("https://secret.example")]
    await house.deploy()
    await house.outbox.drain(1)
    (message,) = await house.store.messages(state=OutboxState.PENDING)
    assert message.last_error == "delivery.bug: chat: ZeroDivisionError"
    house.clock.advance(2)
    await house.outbox.drain(1)
    assert house.chat.seqs == [1]


# --- at least once ---


async def test_a_message_sent_but_not_marked_is_sent_again(house: House) -> None:
    house.store.broken = {"message_sent": [StoreError("disk full", code="store.disk_full")]}
    await house.deploy()
    house.pager.failures = [DeliveryError("later", retry_after=60.0)]
    await house.outbox.drain(1)
    assert [error.code for error in house.errors] == ["store.disk_full"]
    house.clock.advance(2)
    assert await house.another_agent().drain(1) == ()
    assert [payload["id"] for payload in house.chat.sent] == ["d1.1", "d1.1"]  # the receiver can tell


async def test_a_delivery_cut_off_by_the_end_is_sent_by_the_next_agent(house: House) -> None:
    house.chat.open.clear()
    await house.deploy()
    task = asyncio.create_task(house.outbox.run())
    await house.chat.has(tried=1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert house.chat.sent == []
    house.chat.open.set()
    assert await house.another_agent().drain(1) == ()
    assert house.chat.seqs == [1]


async def test_a_message_that_arrives_while_the_store_is_asked_is_not_sent_twice(house: House) -> None:
    outbox = house.another_agent()
    house.chat.open.clear()
    await house.deploy()
    task = asyncio.create_task(outbox.run())
    await house.chat.has(tried=1)
    await house.pager.has(sent=1)
    house.store.answer.clear()
    house.store.asked.clear()
    outbox.wake()
    await house.store.asked.wait()  # the answer still holds the message that is under way
    house.store.marked.clear()
    house.chat.open.set()
    await house.store.marked.wait()
    await asyncio.gather(*outbox._busy.values())  # the task has ended, and the outbox has heard of it
    await asyncio.sleep(0)
    house.store.answer.set()
    await house.clock.somebody_sleeps_until(house.clock.now() + timedelta(seconds=1))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert house.chat.seqs == [1]
    assert await house.another_agent().drain(1) == ()
    assert house.chat.seqs == [1]


# --- draining ---


async def test_drain_waits_for_a_retry_that_comes_in_time(house: House) -> None:
    house.chat.failures = [DeliveryError("HTTP 429", retry_after=5.0)]
    await house.deploy()
    drained = asyncio.create_task(house.outbox.drain(60))
    await house.clock.somebody_sleeps_until(house.clock.now() + timedelta(seconds=7))  # 5, and the jitter
    house.clock.advance(7)
    assert await drained == ()
    assert house.chat.seqs == [1]


async def test_drain_tries_one_target_again_while_another_hangs(house: House) -> None:
    house.pager.open.clear()
    house.chat.failures = [DeliveryError("HTTP 429", retry_after=5.0)]
    await house.deploy()
    drained = asyncio.create_task(house.outbox.drain(60))
    await house.clock.somebody_sleeps_until(house.clock.now() + timedelta(seconds=7))
    house.clock.advance(7)
    await house.chat.has(sent=1)
    house.pager.open.set()
    assert await drained == ()


async def test_drain_leaves_what_is_not_delivered_in_time(house: House) -> None:
    house.chat.open.clear()
    await house.deploy(Move.START)
    drained = asyncio.create_task(house.outbox.drain(10))
    await house.pager.has(sent=2)
    await house.chat.has(tried=1)
    await house.clock.somebody_sleeps_until(house.clock.now() + timedelta(seconds=10))
    house.clock.advance(10)
    assert "chat" in await drained
    assert house.pager.seqs == [1, 2]
    assert await house.counts() == {"pending": 2, "sent": 2, "dead": 0}


# --- a failing store ---


async def test_the_loop_outlives_a_failing_store(house: House, running: asyncio.Task[None]) -> None:
    await house.deploy()
    house.store.broken = {"due_messages": [StoreError("locked", code="store.locked")]}
    house.outbox.wake()
    await house.told.wait()
    assert [error.code for error in house.errors] == ["store.locked"]
    house.outbox.wake()
    await house.chat.has(sent=1)


async def test_without_targets_there_is_nothing_to_run(house: House) -> None:
    empty = Outbox(
        store=house.store,
        notifiers={},
        compose=compose,
        clock=house.clock,
        random=lambda: 0.0,
        on_error=house.errors.append,
    )
    await empty.run()
    assert await empty.drain(1) == ()
