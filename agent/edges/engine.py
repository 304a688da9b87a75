"""The durable engine: DBOS Transact behind `ports.Ctx`.

One workflow, `deploy`, whose steps are the states of a deploy. The engine keeps only ids and the names of states;
plan, snapshot, events and the cancel flag live in the agent's own store, so that nothing is lost with the engine's.
DBOS cannot be asked to roll back a cancelled workflow, so its own cancellation is never used (see docs/adr/0001).
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TypeVar

from dbos import DBOS, DBOSConfig, DBOSPortableJSONSerializer, SetWorkflowID, StepOptions, WorkflowHandle
from dbos import error as dbos_error
from sqlalchemy.exc import SQLAlchemyError

from agent.errors import AgentError, StoreError
from agent.ports import Ctx

T = TypeVar("T")

# Ours, not the hash of the code that DBOS would take: an upgraded agent must pick up what the old one left.
_APPLICATION_VERSION = "deploy-1"
_NAME = "deploy-agent"
_WORKFLOW = "deploy"

Body = Callable[[Ctx], Awaitable[str]]
_body: Body | None = None


class DbosCtx:
    """`ports.Ctx` inside a running workflow."""

    def __init__(self, deploy_id: str) -> None:
        self._deploy_id = deploy_id

    @property
    def deploy_id(self) -> str:
        """The deploy this workflow runs."""
        return self._deploy_id

    async def step(self, name: str, action: Callable[[], Awaitable[T]]) -> T:
        """See `ports.Ctx.step`. DBOS does not retry: what may be tried again is for the step to know."""

        async def body() -> T:
            return await action()

        return await DBOS.run_step_async(StepOptions(name=name), body)


@DBOS.workflow(name=_WORKFLOW, max_recovery_attempts=100)
async def _deploy(deploy_id: str) -> str:
    if _body is None:
        raise StoreError("the engine was started without a workflow", code="engine.not_ready")
    return await _body(DbosCtx(deploy_id))


class Engine:
    """The engine while it runs. Workflows run on an event loop of their own, in a thread of the engine's.

    Only DBOS's synchronous calls are used, each in a thread: its async ones take over the calling loop's executor.
    Every call may raise StoreError `engine.failed`: the engine's own database refused.
    """

    def __init__(self) -> None:
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

    async def unfinished(self) -> set[str]:
        """The deploys whose workflow is waiting or running, here or in a worker that died."""

        def ask() -> set[str]:
            rows = DBOS.list_workflows(
                name=_WORKFLOW, status=["PENDING", "ENQUEUED"], load_input=False, load_output=False
            )
            return {row.workflow_id.partition(".")[0] for row in rows}

        return await _asked(ask)

    async def attempts(self, deploy_id: str) -> int:
        """How many workflows a deploy has had."""

        def ask() -> int:
            return len(DBOS.list_workflows(workflow_id_prefix=deploy_id, load_input=False, load_output=False))

        return await _asked(ask)

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
        except Exception as error:
            raise StoreError(
                f"the workflow of deploy {deploy_id} was broken off: {error}",
                code="engine.broken_off",
                hint="Start the agent again: it goes on with the deploy where it was.",
            ) from error

    async def _handle(self, deploy_id: str) -> WorkflowHandle[str]:
        if deploy_id in self._handles:
            return self._handles[deploy_id]
        attempt = max(await self.attempts(deploy_id) - 1, 0)
        return await _asked(partial(DBOS.retrieve_workflow, _workflow_id(deploy_id, attempt)))


def _workflow_id(deploy_id: str, attempt: int) -> str:
    return f"{deploy_id}.{attempt}" if attempt else deploy_id


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
async def open_engine(url: str, *, executor_id: str, body: Body) -> AsyncIterator[Engine]:
    """Start the engine; what a dead worker of the same executor id left is picked up at once.

    Args:
        url: SQLAlchemy URL of the engine's own database: `sqlite:///…` or `postgresql://…`.
        executor_id: names this container; stable over restarts, and unique among those that share the database.
        body: the workflow: brings a deploy to its final state. It may run on another event loop than this one.
    """
    global _body  # noqa: PLW0603 - DBOS knows workflows by module-level name, once a process
    _body = body
    if url.startswith("sqlite:///"):
        await asyncio.to_thread(_use_wal, Path(url.removeprefix("sqlite:///")))
    logging.getLogger("dbos").setLevel(logging.WARNING)
    config: DBOSConfig = {
        "name": _NAME,
        "system_database_url": url,
        "application_version": _APPLICATION_VERSION,
        "executor_id": executor_id,
        "serializer": DBOSPortableJSONSerializer(),
        "log_level": "WARNING",
        "use_listen_notify": not url.startswith("sqlite"),
    }
    DBOS(config=config)
    try:
        await asyncio.to_thread(DBOS.launch)
        yield Engine()
    finally:
        await asyncio.to_thread(DBOS.destroy)
        _body = None


def _use_wal(path: Path) -> None:
    """Readers must not wait for the writer; the mode stays with the file."""
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
