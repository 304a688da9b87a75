"""`deploy-agent serve`: the long-running agent: HTTP, engine, watch, schedules, notifications, in one process."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import structlog
import uvicorn

from agent import __version__
from agent.bootstrap import open_deps, outbox, report, report_error, running_engine
from agent.core.models import BackupRecord, Condition, Deploy, DeployRequest, Event
from agent.core.planning import Plan
from agent.core.states import State
from agent.deploy import service
from agent.deploy.deps import Deps
from agent.deploy.lookout import Lookout
from agent.deploy.supervisor import Supervisor, queue
from agent.edges.metrics import Metrics
from agent.edges.scheduler import Cron, Schedule, Scheduler
from agent.errors import AgentError
from agent.settings import Settings, WatchMode
from agent.web.app import create_app
from agent.web.backend import AgentStatus

_log = structlog.get_logger("agent.serve")
_ADOPT_EVERY_S = 1.0
_LOOK_EVERY_S = 30.0


class Serving:
    """The agent behind the HTTP API; implements `web.Backend`."""

    def __init__(self, settings: Settings, deps: Deps) -> None:
        self._settings = settings
        self._deps = deps
        self._started_at = deps.clock.now()
        self._metrics = Metrics(deps.store, settings.project)
        self._engine = self._condition("engine", ok=True, message="starting")
        self.lookout = Lookout(deps, report)

    def _condition(self, name: str, *, ok: bool, message: str) -> Condition:
        return Condition(name=name, ok=ok, message=message, checked_at=self._deps.clock.now())

    def engine_runs(self) -> None:
        """The engine runs."""
        self._engine = self._condition("engine", ok=True, message="running")

    def engine_failed(self, error: AgentError) -> None:
        """The engine does not run, and why."""
        self._engine = self._condition("engine", ok=False, message=error.message)

    async def conditions(self) -> list[Condition]:
        """See `web.Backend.conditions`."""
        try:
            await self._deps.store.deploys(project=self._settings.project, limit=1)
            store = self._condition("store", ok=True, message="answers")
        except AgentError as error:
            store = self._condition("store", ok=False, message=error.message)
        not_yet = self._condition("target", ok=False, message="not looked at yet")
        return [store, self._engine, self.lookout.conditions.get("target", not_yet)]

    async def status(self) -> AgentStatus:
        """See `web.Backend.status`."""
        deploys = await self.deploys(states=(), limit=2)
        running = [one for one in deploys if not one.is_final]
        ended = [one for one in deploys if one.is_final]
        backups = await self.backups()
        return AgentStatus(
            version=__version__,
            project=self._settings.project,
            target=self._deps.target.label,
            started_at=self._started_at,
            watch=self._settings.watch.mode.value,
            conditions=tuple(await self.conditions()),
            pending=self.lookout.pending,
            applied=self.lookout.applied,
            last_backup=backups[0] if backups else None,
            running=running[0] if running else None,
            last=ended[0] if ended else None,
        )

    async def plan(self, request: DeployRequest) -> Plan:
        """See `web.Backend.plan`."""
        return await service.plan(self._deps, request)

    async def request_deploy(self, request: DeployRequest) -> Deploy:
        """See `web.Backend.request_deploy`."""
        return await queue(self._deps, request)

    async def request_cancel(self, deploy_id: str, reason: str) -> Deploy:
        """See `web.Backend.request_cancel`."""
        deploy = await self._deps.store.get(deploy_id)
        return await self._deps.store.request_cancel(deploy.id, reason=reason, now=self._deps.clock.now())

    async def request_backup(self) -> BackupRecord:
        """See `web.Backend.request_backup`."""
        return await service.backup(self._deps, lambda _: None)

    async def deploys(self, *, states: Sequence[State], limit: int) -> list[Deploy]:
        """See `web.Backend.deploys`."""
        return await self._deps.store.deploys(project=self._settings.project, states=states, limit=limit)

    async def deploy(self, deploy_id: str) -> Deploy:
        """See `web.Backend.deploy`."""
        return await self._deps.store.get(deploy_id)

    async def events(self, deploy_id: str, *, after: int, limit: int) -> list[Event]:
        """See `web.Backend.events`."""
        return await self._deps.store.events(deploy_id, after=after, limit=limit)

    async def backups(self) -> list[BackupRecord]:
        """See `web.Backend.backups`."""
        return await self._deps.store.backups(project=self._settings.project)

    async def metrics(self) -> bytes:
        """See `web.Backend.metrics`."""
        if self.lookout.pending is not None:
            self._metrics.pending.set(len(self.lookout.pending))
        target = self.lookout.conditions.get("target")
        self._metrics.target_up.set(bool(target and target.ok))
        await self._metrics.refresh(self._deps.clock.now())
        return self._metrics.text()


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT; then stop running deploys at their next safe point, and end.

    Raises:
        InputError: a setting is wrong.
        BusyError: `busy.volume`: another agent owns the state folder.
        StoreError: the store cannot be opened.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with open_deps(settings) as deps, outbox(settings, deps) as box:
        serving = Serving(settings, deps)
        async with _http(settings, serving), _task(box.run()):
            _log.info("serving", host=settings.http.host, port=settings.http.port, project=settings.project)
            try:
                await serving.lookout.look()
                async with running_engine(settings, deps) as supervisor:
                    serving.engine_runs()
                    async with _ticking(settings, deps, supervisor, serving.lookout):
                        await stop.wait()
                        _log.info("stopping")
                        await _stop_deploys(settings, deps, supervisor)
            except AgentError as error:
                serving.engine_failed(error)
                raise
        late = await box.drain(5.0)
        _log.info("stopped", undelivered=list(late))


@asynccontextmanager
async def _ticking(settings: Settings, deps: Deps, supervisor: Supervisor, lookout: Lookout) -> AsyncIterator[None]:
    """The clock: schedules, watch, and what is queued."""

    running: set[asyncio.Task[None]] = set()

    async def enqueue(kind: str, slot: str) -> None:
        _log.info("schedule due", kind=kind, slot=slot)
        work = lookout.look() if kind == "health" else supervisor.run_scheduled(kind)
        task = asyncio.create_task(_reported(work))
        running.add(task)
        task.add_done_callback(running.discard)

    async def adopt() -> None:
        await supervisor.adopt()

    async def watch() -> None:
        await lookout.watch(deploy=settings.watch.mode is WatchMode.DEPLOY)

    scheduler = Scheduler(
        store=deps.store,
        clock=deps.clock,
        schedules=[
            Schedule(name=one.name, kind=one.kind.value, cron=Cron(one.cron, time_zone=one.time_zone, name=one.name))
            for one in settings.schedules
        ],
        enqueue=enqueue,
        on_error=report_error,
    )
    scheduler.every("adopt", _ADOPT_EVERY_S, adopt)
    if settings.watch.mode is WatchMode.OFF:
        scheduler.every("look", _LOOK_EVERY_S, lookout.look)
    else:
        scheduler.every("watch", settings.watch.every_s, watch)
    await supervisor.adopt()
    await scheduler.start()
    try:
        yield
    finally:
        await scheduler.stop()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _reported(work: Coroutine[None, None, None]) -> None:
    """Something that a schedule asked for; that it failed is for the log, and its metrics for the alerts."""
    try:
        await work
    except AgentError as error:
        report_error(error)


async def _stop_deploys(settings: Settings, deps: Deps, supervisor: Supervisor) -> None:
    """Cancel what runs, and wait until the database is in order again."""
    for deploy_id in await supervisor.stop("the agent is stopping"):
        try:
            async with asyncio.timeout(settings.deploy.cancel_grace_s):
                final = await service.follow(deps, deploy_id, lambda _: None)
            report("deploy stopped", {"deploy_id": deploy_id, "state": str(final.state)})
        except TimeoutError:
            _log.error(
                "deploy still running", deploy_id=deploy_id, hint="the next agent on this volume goes on with it"
            )


class _Server(uvicorn.Server):
    """Leaves the signals to the agent."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def _http(settings: Settings, serving: Serving) -> AsyncIterator[None]:
    """The HTTP server, listening when the body starts.

    Raises:
        InputError: `settings.http_port`: the address cannot be listened on.
    """
    app = create_app(serving, project=settings.project, token=settings.http.token)
    config = uvicorn.Config(
        app,
        host=settings.http.host,
        port=settings.http.port,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
    )
    server = _Server(config)
    async with _task(server.serve()) as task:
        while not server.started:
            if task.done():
                await task
            await asyncio.sleep(0.01)
        try:
            yield
        finally:
            server.should_exit = True
            await asyncio.wait([task], timeout=10)


@asynccontextmanager
async def _task(work: Coroutine[None, None, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Something that runs beside the body, and ends with it."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
