"""The durable engine: DBOS Transact behind `ports.Ctx`.

One workflow, `deploy`, whose steps are the states of a deploy. The engine keeps only ids and the names of states;
plan, snapshot, events and the cancel flag live in the agent's own store, so that nothing is lost with the engine's.
DBOS cannot be asked to roll back a cancelled workflow, so its own cancellation is never used (see docs/adr/0001).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from dbos import (
    DBOS,
    DBOSConfig,
    DBOSPortableJSONSerializer,
    SetWorkflowID,
    StepOptions,
    WorkflowHandle,
    WorkflowStatus,
)
from dbos import error as dbos_error
from sqlalchemy.exc import SQLAlchemyError

from agent.edges.engine_lock import ExecutorLock, OnLock, holding
from agent.edges.store_engine import use_wal
from agent.errors import AgentError, StoreError
from agent.ports import Ctx

T = TypeVar("T")

# Ours, not the hash of the code that DBOS would take: an upgraded agent must pick up what the old one left.
_APPLICATION_VERSION = "deploy-1"
_NAME = "deploy-agent"
_WORKFLOW = "deploy"

_OPEN = ("PENDING", "ENQUEUED")
_LISTENS_EVERY_S = 0.1  # DBOS' listener, for which there is nothing to hear: its end waits for its next look
_TAKEN_OVER = (dbos_error.DBOSAwaitedWorkflowCancelledError, dbos_error.DBOSWorkflowCancelledError)

Body = Callable[[Ctx], Awaitable[str]]
Gate = Callable[[], Awaitable[None]]
_body: Body | None = None
_gate: Gate | None = None
_running: set[str] = set()


class DbosCtx:
    """`ports.Ctx` inside a running workflow."""

    def __init__(self, deploy_id: str) -> None:
        self._deploy_id = deploy_id

    @property
    def deploy_id(self) -> str:
        """The deploy this workflow runs."""
        return self._deploy_id

    async def step(self, name: str, action: Callable[[], Awaitable[T]]) -> T:
        """See `ports.Ctx.step`. DBOS does not retry: what may be tried again is for the step to know.

        A step waits while this worker cannot show that it lives. Was the deploy taken over meanwhile, DBOS refuses it.
        """
        if _gate is not None:
            await _gate()

        async def body() -> T:
            return await action()

        return await DBOS.run_step_async(StepOptions(name=name), body)


@DBOS.workflow(name=_WORKFLOW, max_recovery_attempts=100)
async def _deploy(deploy_id: str) -> str:
    if _body is None:
        raise StoreError("the engine was started without a workflow", code="engine.not_ready")
    workflow_id = str(DBOS.workflow_id)
    _running.add(workflow_id)
    try:
        return await _body(DbosCtx(deploy_id))
    finally:
        _running.discard(workflow_id)


class Engine:
    """The engine while it runs. Workflows run on an event loop of their own, in a thread of the engine's.

    Only DBOS's synchronous calls are used, each in a thread: its async ones take over the calling loop's executor.
    Every call may raise StoreError `engine.failed`: the engine's own database refused.
    """

    def __init__(self, executor_id: str, lock: ExecutorLock | None = None) -> None:
        self._executor_id = executor_id
        self._lock = lock
        self._handles: dict[str, WorkflowHandle[str]] = {}

    async def start(self, deploy_id: str, *, attempt: int = 0) -> None:
        """Run a deploy in the background.

        Args:
            deploy_id: the deploy.
            attempt: 0 the first time; a workflow that ended without bringing its deploy to an end is started under
                the next number, since DBOS runs an id only once.
        """

        def start() -> WorkflowHandle[str]:
            with SetWorkflowID(_workflow_id(deploy_id, attempt)):
                # typed for plain functions; of a coroutine it gives a handle of what is awaited
                return DBOS.start_workflow(_deploy, deploy_id)  # type: ignore[arg-type]

        self._handles[deploy_id] = await _asked(start)

    async def reap(self, deploy_ids: Collection[str]) -> list[str]:
        """End the workflows that dead workers of this project left, so that the deploys can be started anew.

        An ended workflow records no step any more, should its worker live after all. With SQLite there is nothing to
        do: the volume has one worker, and the engine has picked up what the last one left.

        Args:
            deploy_ids: the deploys that are not final.

        Returns:
            The deploys that were left.

        Raises:
            StoreError: `engine.lock_lost`: this worker cannot show that it lives; it may begin nothing.
        """
        if self._lock is None:
            return []
        self._lock.require()
        if not deploy_ids:
            return []
        left: dict[str, list[str]] = {}
        for row in await self._open():
            executor = row.executor_id or ""
            if _deploy_of(row) in deploy_ids and executor != self._executor_id and self._is_of_project(executor):
                left.setdefault(executor, []).append(row.workflow_id)
        reaped: list[str] = []
        for executor, workflow_ids in left.items():
            if not await self._lock.is_dead(executor):
                continue
            async with self._lock.claimed(executor) as claimed:
                if claimed:
                    await _asked(partial(DBOS.cancel_workflows, workflow_ids))
                    reaped += [one.partition(".")[0] for one in workflow_ids]
        return reaped

    def _is_of_project(self, executor_id: str) -> bool:
        """Agents of other projects may share the store; they know other databases."""
        return executor_id.partition("@")[0] == self._executor_id.partition("@")[0]

    async def _open(self) -> list[WorkflowStatus]:
        return await _asked(
            lambda: DBOS.list_workflows(name=_WORKFLOW, status=list(_OPEN), load_input=False, load_output=False)
        )

    async def _of(self, deploy_id: str) -> list[WorkflowStatus]:
        """A deploy's workflows, in the order of their numbers, read at one moment."""
        rows = await _asked(
            lambda: DBOS.list_workflows(workflow_id_prefix=deploy_id, load_input=False, load_output=False)
        )
        return sorted((row for row in rows if _deploy_of(row) == deploy_id), key=_attempt_of)

    async def next_attempt(self, deploy_id: str) -> int | None:
        """The number under which a deploy's workflow can be started; None: one waits or runs, here or elsewhere.

        Two workers that read the same number start one workflow: DBOS runs an id once.
        """
        rows = await self._of(deploy_id)
        return None if any(row.status in _OPEN for row in rows) else len(rows)

    async def elsewhere(self, deploy_id: str) -> bool:
        """Whether the deploy's workflow is another worker's, living or dead, and has not ended."""
        rows = await self._of(deploy_id)
        return any(row.status in _OPEN and row.executor_id != self._executor_id for row in rows)

    async def still_ours(self) -> bool:
        """Whether nobody has taken over a workflow that runs in this process."""
        mine = sorted(_running)
        return not mine or not await _asked(
            lambda: DBOS.list_workflows(workflow_ids=mine, status="CANCELLED", load_input=False, load_output=False)
        )

    async def ended(self, deploy_id: str) -> None:
        """Wait until the deploy's workflow has ended, here or wherever it runs.

        Raises:
            AgentError: the workflow was broken off (the store refused); the deploy is not final.
        """
        handle = await self._handle(deploy_id)
        try:
            await asyncio.to_thread(handle.get_result)
        except AgentError:
            raise
        except _TAKEN_OVER as error:
            raise StoreError(
                f"another agent has taken over deploy {deploy_id}",
                code="engine.taken_over",
                hint="This agent was silent for too long. Nothing is lost: `deploy-agent status` shows how far it is.",
            ) from error
        except Exception as error:
            raise StoreError(
                f"the workflow of deploy {deploy_id} was broken off: {error}",
                code="engine.broken_off",
                hint="Start the agent again: it goes on with the deploy where it was.",
            ) from error

    async def _handle(self, deploy_id: str) -> WorkflowHandle[str]:
        if deploy_id in self._handles:
            return self._handles[deploy_id]
        attempt = max(len(await self._of(deploy_id)) - 1, 0)
        return await _asked(partial(DBOS.retrieve_workflow, _workflow_id(deploy_id, attempt)))


def _workflow_id(deploy_id: str, attempt: int) -> str:
    return f"{deploy_id}.{attempt}" if attempt else deploy_id


def _deploy_of(row: WorkflowStatus) -> str:
    return row.workflow_id.partition(".")[0]


def _attempt_of(row: WorkflowStatus) -> int:
    return int(row.workflow_id.partition(".")[2] or 0)


async def _asked(call: Callable[[], T]) -> T:
    try:
        return await asyncio.to_thread(call)
    except (dbos_error.DBOSException, SQLAlchemyError) as error:
        raise StoreError(
            f"the engine's database refuses ({type(error).__name__})",
            code="engine.failed",
            hint="See the agent's log. Deploys go on where they were as soon as it answers again.",
        ) from error


@asynccontextmanager
async def open_engine(
    url: str, *, executor_id: str, body: Body, on_lock: OnLock = lambda _executor, _why: None
) -> AsyncIterator[Engine]:
    """Start the engine.

    With SQLite, what the last worker left is picked up at once. With Postgres, `Engine.reap` finds what dead workers
    left: DBOS itself would hand it to any process that shares the database, of whatever project.

    Args:
        url: SQLAlchemy URL of the engine's own database: `sqlite:///…` or `postgresql://…`.
        executor_id: names this worker: with SQLite always the same, with Postgres another one for each process.
        body: the workflow: brings a deploy to its final state. It may run on another event loop than this one.
        on_lock: told when others may take this worker for dead, and when not any more.

    Raises:
        StoreError: `engine.lock_lost`, `engine.taken_over`: the body was cut off, since others may go on with the
            deploy that runs here; or the store cannot be reached.
    """
    global _body, _gate  # noqa: PLW0603 - DBOS knows workflows by module-level name, once a process
    async with AsyncExitStack() as stack:
        lock: ExecutorLock | None = None
        if url.startswith("sqlite:///"):
            await asyncio.to_thread(use_wal, Path(url.removeprefix("sqlite:///")))
        else:
            lock = await stack.enter_async_context(holding(url, executor_id, on_lock))
        logging.getLogger("dbos").setLevel(logging.WARNING)
        config: DBOSConfig = {
            "name": _NAME,
            "system_database_url": url,
            "application_version": _APPLICATION_VERSION,
            "executor_id": executor_id,
            "serializer": DBOSPortableJSONSerializer(),
            "log_level": "WARNING",
            "use_listen_notify": not url.startswith("sqlite"),
            "notification_listener_polling_interval_sec": _LISTENS_EVERY_S,
        }
        _body = body
        _gate = None if lock is None else _gate_of(lock)
        instance = DBOS(config=config)
        try:
            await asyncio.to_thread(DBOS.launch)
            engine = Engine(executor_id, lock)
            async with _kept(lock, engine):
                yield engine
        finally:
            if lock is not None and not lock.held:
                _stop_asking(instance)
            await asyncio.to_thread(DBOS.destroy)
            _body = _gate = None


def _stop_asking(instance: DBOS) -> None:
    """DBOS asks a database that does not answer again for ever, in threads that the process's end would wait for."""
    database = instance._sys_db_field  # noqa: SLF001 - only its client has this option; the version is pinned
    if database is not None:
        database._retry_connection_errors = False  # noqa: SLF001


def _gate_of(lock: ExecutorLock) -> Gate:
    """Waits for the lock from whatever event loop."""
    home = asyncio.get_running_loop()

    async def gate() -> None:
        if not lock.held:
            await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(lock.until_held(), home))

    return gate


@asynccontextmanager
async def _kept(lock: ExecutorLock | None, engine: Engine) -> AsyncIterator[None]:
    """Look after the lock during the body; if it is lost while a deploy runs, the body ends with that error."""
    if lock is None:
        yield
        return
    try:
        async with asyncio.TaskGroup() as group:
            keeper = group.create_task(lock.keep(lambda: bool(_running), engine.still_ours))
            try:
                yield
            finally:
                keeper.cancel()
    except BaseExceptionGroup as failures:  # the body's own error comes out as it went in
        first = failures.exceptions[0]
        raise first from first.__cause__
