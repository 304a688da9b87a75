"""Delivery of notifications: what the store's outbox holds goes out, in order for each target, at least once.

Each target has at most one delivery under way, in a task of its own: a slow or dead target delays
neither another target nor the deploy, which only writes rows. What is not delivered when the
agent ends stays in the store for the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from agent.core.models import Deploy, Event, OutboxMessage
from agent.deploy.events import read_events
from agent.errors import AgentError, DeliveryError, StoreError
from agent.ports import Clock, DeployStore, Notifier

Compose = Callable[[Deploy, Sequence[Event], int], Mapping[str, Any]]
"""A deploy, its events and the number of one STATE or APPROVAL event, as the payload for `Notifier.send`."""

_KEPT = 16  # composed payloads kept, for the other targets of the same event


@dataclass(frozen=True, kw_only=True)
class RetryPolicy:
    """When to try again: exponential back-off with full jitter.

    See https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/.

    Args:
        base_s: the longest first wait, in seconds; it doubles with each attempt.
        cap_s: the longest wait, in seconds; also the longest Retry-After that is believed.
        attempts: after so many a message is dead.
        poll_s: how often the store is asked, in seconds, when nobody calls `wake`.
    """

    base_s: float = 2.0
    cap_s: float = 3600.0
    attempts: int = 20
    poll_s: float = 1.0

    def wait(self, *, attempts: int, retry_after: float | None, random: float) -> timedelta:
        """How long to wait after a failed attempt.

        Args:
            attempts: how many have failed, this one included.
            retry_after: seconds the receiver asked for: never less than that.
            random: 0 to 1.
        """
        spread = random * min(self.base_s * 2.0 ** (attempts - 1), self.cap_s)
        if retry_after is None:
            return timedelta(seconds=spread)
        return timedelta(seconds=min(retry_after, self.cap_s) + min(spread, self.base_s))


class Outbox:
    """The delivery loop.

    Args:
        store: holds the messages.
        notifiers: the targets, by name; messages for other names stay where they are.
        compose: makes the payload of one message.
        clock: the time.
        random: a number from 0 to 1 at each call.
        on_error: told when the store fails; the loop then goes on after a pause.
        on_dead: told when a message is given up, with its target and why.
        policy: when to try again.
    """

    def __init__(
        self,
        *,
        store: DeployStore,
        notifiers: Mapping[str, Notifier],
        compose: Compose,
        clock: Clock,
        random: Callable[[], float],
        on_error: Callable[[AgentError], None],
        on_dead: Callable[[str, DeliveryError], None] = lambda _target, _why: None,
        policy: RetryPolicy | None = None,
    ) -> None:
        self._store = store
        self._notifiers = dict(notifiers)
        self._compose = compose
        self._clock = clock
        self._random = random
        self._on_error = on_error
        self._on_dead = on_dead
        self._policy = policy or RetryPolicy()
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._not_before: dict[str, datetime] = {}
        self._payloads: dict[tuple[str, int], Mapping[str, Any]] = {}
        self._changed = asyncio.Event()
        self._crash: BaseException | None = None

    def wake(self) -> None:
        """There may be something new: look now instead of at the next poll."""
        self._changed.set()

    async def run(self) -> None:
        """Deliver until cancelled. Deliveries under way are then cut off; they are told again later."""
        try:
            while self._notifiers:
                self._changed.clear()
                await self._start_due()
                await self._pause(self._policy.poll_s)
        finally:
            await self._stop()

    async def drain(self, timeout_s: float) -> tuple[str, ...]:
        """Deliver what is due, and what becomes due in time; not beside `run`.

        Args:
            timeout_s: the longest time to spend.

        Returns:
            The targets that still have something to come, sorted.
        """
        end = self._clock.now() + timedelta(seconds=timeout_s)
        try:
            while True:
                self._changed.clear()
                await self._start_due()
                now = self._clock.now()
                waiting = [at for at in self._not_before.values() if at <= end]
                if now >= end or not (self._busy or waiting or self._changed.is_set()):
                    break
                until = min([*waiting, end])
                await self._pause(max((until - now).total_seconds(), 0.0))
        finally:
            cut_off = set(self._busy)
            await self._stop()
        return tuple(sorted(cut_off | set(self._not_before)))

    async def _start_due(self) -> None:
        """Start a task for each target whose oldest message is due and that is idle."""
        if self._crash is not None:
            raise self._crash
        now = self._clock.now()
        self._not_before = {name: at for name, at in self._not_before.items() if at > now}
        under_way = set(self._busy)  # what ends while the store is asked may be in its answer still
        try:
            messages = await self._store.due_messages(now=now, limit=max(len(self._notifiers), 1) * 4)
        except StoreError as error:
            self._on_error(error)
            return
        for message in messages:
            name = message.target
            if name in under_way or name in self._not_before or name not in self._notifiers:
                continue
            task = asyncio.create_task(self._deliver(message), name=f"notify {name}")
            self._busy[name] = task
            task.add_done_callback(partial(self._finished, name))

    def _finished(self, name: str, task: asyncio.Task[None]) -> None:
        if self._busy.get(name) is task:
            del self._busy[name]
        if not task.cancelled():
            self._crash = self._crash or task.exception()
        self._changed.set()

    async def _deliver(self, message: OutboxMessage) -> None:
        """Send one message and record the outcome. A crash in between sends it again: at least once."""
        try:
            failure = await self._attempt(message)
            now = self._clock.now()
            if failure is None:
                await self._store.message_sent(message.id, now=now)
                return
            attempts = message.attempts + 1
            due_at = None
            if not failure.permanent and attempts < self._policy.attempts:
                due_at = now + self._policy.wait(
                    attempts=attempts, retry_after=failure.retry_after, random=self._random()
                )
                self._not_before[message.target] = due_at
            await self._store.message_failed(
                message.id, error=f"{failure.code}: {failure.message}", due_at=due_at, now=now
            )
            if due_at is None:
                self._on_dead(message.target, failure)
        except StoreError as error:
            # The outcome is not recorded: the message stays pending, and its target rests for a while.
            self._not_before[message.target] = self._clock.now() + timedelta(seconds=self._policy.base_s)
            self._on_error(error)

    async def _attempt(self, message: OutboxMessage) -> DeliveryError | None:
        try:
            await self._notifiers[message.target].send(await self._payload(message))
        except DeliveryError as error:
            return error
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - a bug in one notifier must not stop the others; it is recorded
            return DeliveryError(f"{message.target}: {type(error).__name__}", code="delivery.bug")
        return None

    async def _payload(self, message: OutboxMessage) -> Mapping[str, Any]:
        key = (message.deploy_id, message.event_seq)
        if key not in self._payloads:
            deploy = await self._store.get(message.deploy_id)
            events = await read_events(self._store, message.deploy_id, last=message.event_seq)
            while len(self._payloads) >= _KEPT:
                del self._payloads[next(iter(self._payloads))]
            self._payloads[key] = self._compose(deploy, events, message.event_seq)
        return self._payloads[key]

    async def _pause(self, seconds: float) -> None:
        """Until something changes, or `seconds` have passed."""
        ends = (asyncio.create_task(self._clock.sleep(seconds)), asyncio.create_task(self._changed.wait()))
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            await _cancelled(ends)

    async def _stop(self) -> None:
        tasks = list(self._busy.values())
        self._busy.clear()
        await _cancelled(tasks)


async def _cancelled(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel, and wait until they have ended."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
