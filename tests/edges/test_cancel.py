"""The cancel flag is seen although the store failed in between, and that is told once."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

from agent.deploy.deps import Run, watch_cancel
from agent.errors import StoreError


class Store:
    """Cannot be reached three times, then has the flag."""

    def __init__(self) -> None:
        self.looks = 0

    async def get(self, _deploy_id: str) -> SimpleNamespace:
        self.looks += 1
        if self.looks <= 3:
            raise StoreError("the store is away", code="store.unreachable")
        return SimpleNamespace(cancel_reason="enough")


async def test_the_flag_is_seen_after_the_store_was_away() -> None:
    told: list[str] = []
    deps = SimpleNamespace(
        store=Store(),
        clock=SimpleNamespace(sleep=lambda _: asyncio.sleep(0)),
        options=SimpleNamespace(poll_s=0),
    )
    emitter = SimpleNamespace(emit=lambda _kind, message, **_: told.append(message))
    run = Run(deps=deps, deploy_id="d1", emitter=emitter, resources=None)

    async with asyncio.timeout(10), watch_cancel(run):
        while not run.cancel_reason:
            await asyncio.sleep(0)

    assert run.cancel_reason == "enough"
    assert len(told) == 1
    assert "the store is away" in told[0]
