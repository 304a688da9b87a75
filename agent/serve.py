"""`deploy-agent serve`: the long-running agent: HTTP, engine, watch, schedules, notifications, in one process."""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import assert_never

from agent import __version__
from agent.bootstrap import open_deps, outbox, report, report_error, running_engine
from agent.core.access import Key
from agent.core.models import BackupRecord, Condition, Deploy, DeployRequest, Event
from agent.core.planning import Plan
from agent.core.states import FINAL, State
from agent.core.units import duration
from agent.deploy import service
from agent.deploy.deps import Deps
from agent.deploy.events import read_events
from agent.deploy.lookout import Lookout
from agent.deploy.supervisor import Supervisor, queue
from agent.edges.metrics import Metrics
from agent.edges.scheduler import Cron, Schedule, Scheduler
from agent.errors import AgentError, BusyError, NotFoundError, UnfinishedError
from agent.settings import Live, ScheduleKind, Settings, WatchMode
from agent.web.app import create_app
from agent.web.backend import ESSENTIAL, AgentStatus
from agent.web.server import listening

_log = logging.getLogger("agent.serve")
_ADOPT_EVERY_S = 1.0
_LOOK_EVERY_S = 30.0
_SILENT_AFTER = timedelta(seconds=30)  # an engine that did not answer for so long is not counted on
_STORE_TIMEOUT_S = 5.0
_LAST_NOTIFICATIONS_S = 5.0
_LATER = "Try again when /readyz answers 200."


class Serving:
    """The agent behind the HTTP API; implements `web.Backend`."""

    def __init__(self, settings: Settings, deps: Deps, lookout: Lookout) -> None:
        self._settings = settings
        self._deps = deps
        self._lookout = lookout
        self._started_at = deps.clock.now()
        self._metrics = Metrics(deps.store, settings.project, targets=[one.name for one in settings.notify])
        self._supervisor: Supervisor | None = None
        self._idle = "starting"
        self._answered_at: datetime | None = None

    def begin(self, supervisor: Supervisor) -> None:
        """The engine runs."""
        self._supervisor = supervisor
        self._idle = ""

    def end(self) -> None:
        """The agent is stopping; nothing new is begun."""
        self._supervisor = None
        self._idle = "stopping"

    async def adopt(self) -> None:
        """Start what is queued, and remember that the engine answers."""
        if self._supervisor is not None:
            await self._supervisor.adopt()
            self._answered_at = self._deps.clock.now()

    def _condition(self, name: str, trouble: str, *, fine: str = "") -> Condition:
        return Condition(name=name, ok=not trouble, message=trouble or fine, checked_at=self._deps.clock.now())

    async def conditions(self) -> list[Condition]:
        """See `web.Backend.conditions`."""
        found = [
            self._condition("store", await self._store_trouble(), fine="answers"),
            self._condition("engine", self._engine_trouble(), fine="running"),
        ]
        if "target" not in self._lookout.conditions:
            found.append(self._condition("target", "not looked at yet"))
        return found + list(self._lookout.conditions.values())

    async def _store_trouble(self) -> str:
        try:
            async with asyncio.timeout(_STORE_TIMEOUT_S):
                await self._deps.store.deploys(project=self._settings.project, limit=1)
        except AgentError as error:
            return error.message
        except TimeoutError:
            return f"has not answered for {_STORE_TIMEOUT_S:g} s"
        return ""

    def _engine_trouble(self) -> str:
        if self._idle or self._answered_at is None:
            return self._idle or "starting"
        silence = self._deps.clock.now() - self._answered_at
        return f"has not answered for {silence.total_seconds():.0f} s" if silence > _SILENT_AFTER else ""

    async def status(self) -> AgentStatus:
        """See `web.Backend.status`."""
        deploys = await self.deploys(states=(), limit=2)
        backups = await self.backups()
        plan = self._lookout.plan
        return AgentStatus(
            version=__version__,
            project=self._settings.project,
            target=self._deps.target.label,
            started_at=self._started_at,
            watch=self._settings.watch.mode.value,
            conditions=tuple(await self.conditions()),
            pending=self._lookout.pending,
            applied=None if plan is None else len(plan.applied),
            last_backup=next(iter(backups), None),
            running=next((one for one in deploys if not one.is_final), None),
            last=next((one for one in deploys if one.is_final), None),
        )

    async def plan(self, request: DeployRequest) -> Plan:
        """See `web.Backend.plan`."""
        return await service.plan(self._deps, request)

    async def request_deploy(self, request: DeployRequest) -> Deploy:
        """See `web.Backend.request_deploy`. What is asked for while the engine starts waits for it."""
        if self._idle == "stopping":
            raise BusyError("the agent is stopping", code="busy.stopping", hint=_LATER)
        queued = await queue(self._deps, request)
        await _reported(self.adopt())  # at once; should that fail, the clock tries again
        return queued

    async def request_cancel(self, deploy_id: str, reason: str) -> Deploy:
        """See `web.Backend.request_cancel`."""
        deploy = await self.deploy(deploy_id)
        return await self._deps.store.request_cancel(deploy.id, reason=reason, now=self._deps.clock.now())

    async def answer(self, deploy_id: str, *, number: int | None, approve: bool, by: str, remark: str) -> Deploy:
        """See `web.Backend.answer`."""
        deploy = await self.deploy(deploy_id)
        now = self._deps.clock.now()
        return await self._deps.store.answer_approval(
            deploy.id, number=number, approve=approve, by=by, remark=remark, now=now
        )

    async def request_backup(self) -> BackupRecord:
        """See `web.Backend.request_backup`."""
        if self._supervisor is None:
            raise BusyError(f"the agent is {self._idle}", code="busy.not_ready", hint=_LATER)
        return await self._supervisor.backup()

    async def deploys(self, *, states: Sequence[State], limit: int) -> list[Deploy]:
        """See `web.Backend.deploys`."""
        return await self._deps.store.deploys(project=self._settings.project, states=states, limit=limit)

    async def deploy(self, deploy_id: str) -> Deploy:
        """See `web.Backend.deploy`. Those of other projects in a shared store are not shown."""
        found = await self._deps.store.get(deploy_id)
        if found.project != self._settings.project:
            raise NotFoundError(f"there is no deploy {deploy_id!r}", code="notfound.deploy")
        return found

    async def events(self, deploy_id: str, *, after: int, limit: int) -> list[Event]:
        """See `web.Backend.events`."""
        return await self._deps.store.events(deploy_id, after=after, limit=limit)

    async def all_events(self, deploy_id: str) -> list[Event]:
        """See `web.Backend.all_events`."""
        return await read_events(self._deps.store, deploy_id)

    async def backups(self) -> list[BackupRecord]:
        """See `web.Backend.backups`."""
        return await self._deps.store.backups(project=self._settings.project)

    async def metrics(self) -> bytes:
        """See `web.Backend.metrics`."""
        return await self._metrics.exposition(
            now=self._deps.clock.now(),
            conditions=await self.conditions(),
            pending=self._lookout.pending,
            drifted=self._lookout.drifted,
            slots=self._lookout.slots,
        )


async def serve(live: Live) -> None:
    """Run until SIGTERM or SIGINT; then stop running deploys at their next safe point, and end.

    SIGHUP reads the settings again; see `Live` for what is taken up. A deploy that has not ended
    `deploy.cancel_grace_s` after the end was asked for is left to the next agent on this state folder.

    Raises:
        InputError: a setting is wrong; `settings.http_…`: the address cannot be listened on, or must not be.
        BusyError: `busy.volume`: another agent owns the state folder.
        StoreError: the store cannot be opened.
        UnfinishedError: `serve.deploy_running`: stopped, and a deploy was left where it is.
    """
    stop = asyncio.Event()
    settings = live.now()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, live.read_again)
    request = DeployRequest(project=settings.project, strategy=settings.deploy.strategy)
    http = settings.http

    def keys() -> tuple[Key, ...]:
        # What listens to other machines is never opened to all, whatever becomes of the settings' tokens.
        return live.now().http.keys or http.keys

    left: list[Deploy] = []
    async with open_deps(settings, live) as deps, outbox(settings, deps, live) as box:
        lookout = Lookout(deps, request.model_copy(update={"requested_by": "watch"}), report)
        serving = Serving(settings, deps, lookout)
        app = create_app(serving, default=request, keys=keys)
        async with listening(app, host=http.host, port=http.port, local_only=http.open_to_all) as port:
            _log.info("serving", extra={"host": http.host, "port": port, "project": settings.project})
            async with _beside() as start:
                looked = start(_reported(lookout.look()))  # meanwhile: the engine takes a second to import
                ended = asyncio.Event()

                def moved(state: State) -> None:
                    box.wake()
                    if state in FINAL:
                        ended.set()

                async with running_engine(settings, deps, moved, live=live) as supervisor:
                    start(box.run())
                    start(_look_after_deploys(ended, lookout))
                    serving.begin(supervisor)
                    async with _ticking(settings, deps, supervisor, serving, lookout):
                        start(_tell_readiness(serving, looked))
                        await stop.wait()
                    serving.end()
                    left = await _stop_deploys(settings, deps, supervisor)
        late = await box.drain(_LAST_NOTIFICATIONS_S)
        _log.info("stopped", extra={"undelivered": list(late)})
    if left:
        raise _left_running(left, settings.deploy.cancel_grace_s)


async def _tell_readiness(serving: Serving, looked: asyncio.Task[None]) -> None:
    """Say once in the log what `/readyz` answers as soon as everything has started; later changes are told as such."""
    await looked
    gc.freeze()  # what is loaded stays: a full collection in the middle of a deploy need not walk through it
    missing = {one.name: one.message for one in await serving.conditions() if one.name in ESSENTIAL and not one.ok}
    if missing:
        _log.info("not ready", extra={"missing": missing})
    else:
        _log.info("ready")


async def _look_after_deploys(ended: asyncio.Event, lookout: Lookout) -> None:
    """Know what is pending as soon as a deploy has ended, not at the next look."""
    while True:
        await ended.wait()
        ended.clear()
        await _reported(lookout.look())


@asynccontextmanager
async def _ticking(
    settings: Settings, deps: Deps, supervisor: Supervisor, serving: Serving, lookout: Lookout
) -> AsyncIterator[None]:
    """The clock: what is queued, schedules, watch."""
    async with _beside() as start:

        async def enqueue(kind: str, slot: str) -> None:
            _log.info("schedule due", extra={"kind": kind, "slot": slot})
            start(_reported(_errand(ScheduleKind(kind), supervisor, lookout)))

        scheduler = Scheduler(
            store=deps.store,
            clock=deps.clock,
            schedules=[
                Schedule(
                    name=one.name, kind=one.kind.value, cron=Cron(one.cron, time_zone=one.time_zone, name=one.name)
                )
                for one in settings.schedules
            ],
            enqueue=enqueue,
            on_error=report_error,
        )
        scheduler.every("adopt", _ADOPT_EVERY_S, serving.adopt)
        if settings.watch.mode is WatchMode.DEPLOY:
            scheduler.every("watch", settings.watch.every_s, lookout.watch)
            start(_reported(lookout.watch()))
        else:
            off = settings.watch.mode is WatchMode.OFF
            scheduler.every("look", _LOOK_EVERY_S if off else settings.watch.every_s, lookout.look)
        await serving.adopt()
        await scheduler.start()
        try:
            yield
        finally:
            await scheduler.stop()


def _errand(kind: ScheduleKind, supervisor: Supervisor, lookout: Lookout) -> Coroutine[None, None, None]:
    """What a schedule asks for."""
    match kind:
        case ScheduleKind.BACKUP:
            return supervisor.backup_when_quiet()
        case ScheduleKind.VERIFY:
            return supervisor.verify_last()
        case ScheduleKind.PRUNE:
            return supervisor.prune()
        case ScheduleKind.HEALTH:
            return lookout.look()
        case _ as never:
            assert_never(never)


async def _stop_deploys(settings: Settings, deps: Deps, supervisor: Supervisor) -> list[Deploy]:
    """Cancel what runs, and wait until the database is in order again; returns what had not ended in time."""
    _log.info("stopping")
    stopping = await supervisor.stop()
    try:
        async with asyncio.timeout(settings.deploy.cancel_grace_s):
            for deploy_id in stopping:
                await _reported(supervisor.stopped(deploy_id))
    except TimeoutError:
        return [one for one in [await deps.store.get(deploy_id) for deploy_id in stopping] if not one.is_final]
    return []


def _left_running(deploys: Sequence[Deploy], grace_s: float) -> UnfinishedError:
    names = ", ".join(f"deploy {one.id} ({one.state})" for one in deploys)
    return UnfinishedError(
        f"stopped before the end of {names}: not undone within {duration(grace_s)} (deploy.cancel_grace_s)",
        code="serve.deploy_running",
        hint="Start the agent again on the same state folder: it goes on from there, and brings the database to a safe "
        "end. Until then part of the deploy may be in the database.",
    )


@asynccontextmanager
async def _beside() -> AsyncIterator[Callable[[Coroutine[None, None, None]], asyncio.Task[None]]]:
    """Gives a function that starts something beside the body. It ends with the body; if it fails, so does the body."""
    async with asyncio.TaskGroup() as group:
        tasks: set[asyncio.Task[None]] = set()

        def start(work: Coroutine[None, None, None]) -> asyncio.Task[None]:
            task = group.create_task(work)
            tasks.add(task)
            task.add_done_callback(tasks.discard)
            return task

        try:
            yield start
        finally:
            for task in tasks:
                task.cancel()


async def _reported(work: Coroutine[None, None, object]) -> None:
    """Something that a schedule asked for: that it failed is for the log, and its metrics for the alerts."""
    try:
        await work
    except AgentError as error:
        report_error(error)
    except Exception:  # noqa: BLE001 - a bug in one errand must not end the deploy that runs beside it
        _log.exception("failed in a way the agent does not know")
