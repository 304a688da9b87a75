"""A clock that stands still until the test moves it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 1, 2, 0, 0, tzinfo=UTC)


class FakeClock:
    """`agent.ports.Clock` whose time passes only by `advance`."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now
        self._sleepers: dict[asyncio.Future[None], datetime] = {}
        self._news = asyncio.Event()

    def now(self) -> datetime:
        return self._now

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        sleeper = asyncio.get_running_loop().create_future()
        self._sleepers[sleeper] = self._now + timedelta(seconds=seconds)
        self._news.set()
        try:
            await sleeper
        finally:
            del self._sleepers[sleeper]

    def advance(self, seconds: float) -> None:
        """Let time pass, and wake whoever has slept enough."""
        self._now += timedelta(seconds=seconds)
        for sleeper, until in self._sleepers.items():
            if until <= self._now and not sleeper.done():
                sleeper.set_result(None)

    async def somebody_sleeps_until(self, moment: datetime) -> None:
        """Wait until a task sleeps until just then."""
        while moment not in self._sleepers.values():
            self._news.clear()
            await self._news.wait()
