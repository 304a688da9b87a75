"""Events on their way to the store: buffered, in order, never lost in silence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from agent.core.models import EventKind, NewEvent, Severity
from agent.core.redaction import Redactor
from agent.errors import AgentError
from agent.ports import Clock, DeployStore

Emit = Callable[[NewEvent], None]
"""Where a part of a deploy leaves its events: `Emitter.put`, or what a person at the command line listens with."""

# What these say is the agent's own words, numbers and file names: nothing that a server or a user's SQL said.
_OWN_WORDS = frozenset(
    {
        EventKind.STEP_STARTED,
        EventKind.STEP_FINISHED,
        EventKind.MIGRATION_STARTED,
        EventKind.MIGRATION_FINISHED,
        EventKind.STATEMENT,
        EventKind.PROGRESS,
        EventKind.BACKUP,
    }
)


def tell(
    emit: Emit, clock: Clock, kind: EventKind, message: str, *, severity: Severity = Severity.INFO, **data: object
) -> None:
    """Emit an event of now; `data` holds the keys that EventKind lists for the kind."""
    emit(NewEvent(kind=kind, message=message, at=clock.now(), severity=severity, data=data))


class Emitter:
    """Collects the events of one deploy and writes them in batches.

    `emit` never waits, so it can be called from a NOTICE listener. What is buffered is written when
    `flush` is called, at the end of the `async with`, and every `every_s` seconds between.

    Args:
        redactor: knows the installation's secrets.
        every_s: seconds between two writes.

    Raises:
        AgentError: from `flush`: the store refused. A deploy whose events cannot be kept must stop.
    """

    def __init__(
        self, store: DeployStore, clock: Clock, deploy_id: str, *, redactor: Redactor, every_s: float = 0.2
    ) -> None:
        self._redactor = redactor
        self._store = store
        self._clock = clock
        self._deploy_id = deploy_id
        self._every_s = every_s
        self._buffer: list[NewEvent] = []
        self._lock = asyncio.Lock()
        self._task: asyncio.Task[None] | None = None

    def emit(self, kind: EventKind, message: str, *, severity: Severity = Severity.INFO, **data: Any) -> None:  # noqa: ANN401 - whatever the kind documents
        """Record an event of now; `data` holds the keys that EventKind lists for the kind."""
        tell(self.put, self._clock, kind, message, severity=severity, **data)

    def put(self, event: NewEvent) -> None:
        """Record an event that somebody else made; secrets are masked before it goes anywhere."""
        if event.kind not in _OWN_WORDS:
            event = event.model_copy(
                update={"message": self._redactor(event.message), "data": self._redactor.deep(event.data)}
            )
        self._buffer.append(event)

    async def flush(self) -> None:
        """Write what is buffered, in order."""
        async with self._lock:
            batch, self._buffer = self._buffer, []
            if not batch:
                return
            try:
                await self._store.append(self._deploy_id, batch)
            except AgentError:  # not written; a cancelled write is one that the store has finished
                self._buffer = batch + self._buffer
                raise

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self.flush()
            except AgentError:  # the events are kept; the next transition flushes them first, and fails if it cannot
                continue

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self.flush()
