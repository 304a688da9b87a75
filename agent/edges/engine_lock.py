"""Who lives: each engine on a Postgres store holds a session advisory lock named after its executor id.

The lock is held by a connection of its own. A worker that is killed loses it at once: its machine's kernel closes the
connection. One whose machine is gone loses it after 25 s: the server's keepalive (PostgreSQL documentation, 19.3.2). A
worker that lives and has lost the connection takes the lock again; others give it `GRACE_S` for that.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NoReturn

import psycopg
from psycopg.rows import scalar_row

from agent.edges.store_engine import label_of, parse_url, translated
from agent.errors import StoreError
from agent.sql import load

GRACE_S = 10.0
"""How long a lock of another host's must have been free before its worker counts as dead."""

_END_AFTER_S = 5.0  # without the lock, while a deploy runs here: less than GRACE_S
_BEAT_S = 2.0
_BEAT_TIMEOUT_S = 4.0
_AGAIN_S = 0.5
_CONNECT_TIMEOUT_S = 3

OnLock = Callable[[str, str], None]
"""Told when the lock is lost or held again: the executor id, and why it is lost, or ""."""


class ExecutorLock:
    """The lock of this process's executor; see `holding`.

    Args:
        url: the store's, `postgresql://…`.
        executor_id: `project@host/volume#process`, unique for each process.
        on_lock: told that the lock is lost or held again.
    """

    def __init__(self, url: str, executor_id: str, on_lock: OnLock) -> None:
        parsed = parse_url(url)
        self._label = label_of(parsed)
        self._dsn = parsed.set(drivername="postgresql").render_as_string(hide_password=False)
        self.executor_id = executor_id
        self._on_lock = on_lock
        self._connection: psycopg.AsyncConnection | None = None
        self._held = asyncio.Event()
        self._free_since: dict[str, float] = {}

    async def open(self) -> None:
        """Take the lock the first time.

        Raises:
            StoreError: the store cannot be reached, or refuses.
        """
        with translated(self._label):
            await self._connect()
        self._held.set()

    async def close(self) -> None:
        """Let go of it."""
        self._held.clear()
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    @property
    def held(self) -> bool:
        """Whether this worker may say that it lives, as far as it knows."""
        return self._held.is_set()

    async def until_held(self) -> None:
        """Wait until the lock is held; at once while it is."""
        await self._held.wait()

    def require(self) -> None:
        """Raises StoreError `engine.lock_lost`: nothing may be begun here."""
        if not self.held:
            raise self._lost("the connection that shows others that this agent lives is lost")

    async def keep(self, busy: Callable[[], bool], still_ours: Callable[[], Awaitable[bool]]) -> NoReturn:
        """Look after the lock for ever.

        Args:
            busy: whether a deploy runs in this process.
            still_ours: asked when the lock is held again: whether nobody has taken over what runs here.

        Raises:
            StoreError: `engine.lock_lost`: a deploy runs here, and others may take it over any moment;
                `engine.taken_over`: they have.
        """
        while True:
            await asyncio.sleep(_BEAT_S)
            try:
                async with asyncio.timeout(_BEAT_TIMEOUT_S):
                    await self._ask("engine/beat")
            except (psycopg.Error, TimeoutError) as error:
                self._on_lock(self.executor_id, type(error).__name__)
                await self.close()
                await self._take_again(busy)
                if not await still_ours():
                    raise StoreError(
                        "another agent has taken over the deploy that ran here",
                        code="engine.taken_over",
                        hint="This agent was silent for too long. Nothing is lost: `deploy-agent status` shows how far "
                        "the deploy is. Start this agent again.",
                    ) from error
                self._held.set()
                self._on_lock(self.executor_id, "")

    async def _take_again(self, busy: Callable[[], bool]) -> None:
        loop = asyncio.get_running_loop()
        end = loop.time() + _END_AFTER_S
        while True:
            try:
                await self._connect()
            except (psycopg.Error, TimeoutError) as error:
                if busy() and loop.time() > end:
                    raise self._lost("the store could not be reached, and a deploy runs here") from error
                await asyncio.sleep(_AGAIN_S)
            else:
                return

    async def is_dead(self, executor_id: str) -> bool:
        """Whether a worker's lock is free, and has been for `GRACE_S` as far as this one has seen.

        A worker of the same host and volume gets no grace: this process has the volume, so the other has ended.

        Raises:
            StoreError: `engine.lock_lost`, or the store refuses.
        """
        self.require()
        with translated(self._label):
            held = await self._ask("engine/held", executor_id)
        now = asyncio.get_running_loop().time()
        if held:
            self._free_since.pop(executor_id, None)
            return False
        waited = now - self._free_since.setdefault(executor_id, now)
        return waited >= GRACE_S or _place(executor_id) == _place(self.executor_id)

    @asynccontextmanager
    async def claimed(self, executor_id: str) -> AsyncIterator[bool]:
        """Hold a dead worker's lock; False: somebody else has it after all."""
        with translated(self._label):
            taken = await self._ask("engine/take", executor_id)
        try:
            yield bool(taken)
        finally:
            if taken and self._connection is not None:  # without it the lock has gone already
                with translated(self._label):
                    await self._ask("engine/release", executor_id)
                self._free_since.pop(executor_id, None)

    async def _connect(self) -> None:
        async with asyncio.timeout(2 * _CONNECT_TIMEOUT_S):
            connection = await psycopg.AsyncConnection.connect(
                self._dsn,
                autocommit=True,
                prepare_threshold=None,
                application_name="deploy-agent (alive)",
                connect_timeout=_CONNECT_TIMEOUT_S,
                tcp_user_timeout=3_000,
            )
            self._connection = connection
            try:
                await connection.execute(load("engine/session").encode())
                await self._take()
            except BaseException:
                self._connection = None
                await connection.close()
                raise

    async def _take(self) -> None:
        if not await self._ask("engine/take", self.executor_id):
            # The server has not noticed yet that the last connection is gone, or another agent is taking over.
            raise psycopg.OperationalError("the lock is still held")

    async def _ask(self, name: str, executor_id: str = "") -> object:
        if self._connection is None:
            raise psycopg.OperationalError("not connected")
        cursor = self._connection.cursor(row_factory=scalar_row)
        parameters = {"key": _key(executor_id)} if executor_id else None
        return await (await cursor.execute(load(name).encode(), parameters)).fetchone()

    def _lost(self, why: str) -> StoreError:
        return StoreError(
            f"{why} (store {self._label})",
            code="engine.lock_lost",
            hint="Start the agent again when the store answers. Another agent of the project goes on with the deploy; "
            "without one, this one does.",
        )


@asynccontextmanager
async def holding(url: str, executor_id: str, on_lock: OnLock) -> AsyncIterator[ExecutorLock]:
    """Hold the executor's lock during the body; it is looked after by `ExecutorLock.keep`."""
    lock = ExecutorLock(url, executor_id, on_lock)
    await lock.open()
    try:
        yield lock
    finally:
        await lock.close()


def _key(executor_id: str) -> int:
    digest = hashlib.blake2b(f"deploy-agent executor {executor_id}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


def _place(executor_id: str) -> str:
    """Host and volume of an executor, without its process."""
    return executor_id.partition("#")[0]
