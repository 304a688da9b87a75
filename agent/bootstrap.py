"""Joins the edges to the deploy and the web: the only module that knows them all, and it decides nothing."""

from __future__ import annotations

import asyncio
import getpass
import hashlib
import importlib
import logging
import os
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime

from pydantic import SecretStr

from agent.core.aside import Aside
from agent.core.backups import Manifest
from agent.core.catalog import CatalogDiff
from agent.core.models import (
    BackupRecord,
    CheckResult,
    Deploy,
    DeployRequest,
    Event,
    EventKind,
    Finding,
    NewEvent,
    Severity,
)
from agent.core.planning import Plan
from agent.core.redaction import Redactor
from agent.deploy import service
from agent.deploy.backup import BackupOptions, load_manifest, prune, verify_backup
from agent.deploy.deps import Deps, Options
from agent.deploy.drift import diff_with_backup
from agent.deploy.events import read_events
from agent.deploy.outbox import Outbox
from agent.deploy.salvage_service import Salvages
from agent.deploy.supervisor import Supervisor, queue
from agent.deploy.workflow import run_deploy
from agent.edges.folder import load_folder
from agent.edges.http_probe import HttpxProbe
from agent.edges.object_store import open_object_store
from agent.edges.pgtools import PostgresTools
from agent.edges.runbook_file import load_runbook_file
from agent.edges.store import open_store
from agent.edges.target import PsycopgTarget
from agent.edges.volume import lock_volume
from agent.errors import AgentError, BusyError
from agent.ports import Ctx, Notifier, PgTools, Target
from agent.report.chat import compose
from agent.settings import Settings

_log = logging.getLogger("agent")


class SystemClock:
    """The machine's time; implements `ports.Clock`."""

    def now(self) -> datetime:
        """Aware, UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait, cancellably."""
        await asyncio.sleep(seconds)


def report(message: str, fields: dict[str, object]) -> None:
    """Into the log: a constant message and its fields."""
    _log.info(message, extra=fields)


def report_error(error: AgentError) -> None:
    """A failure that will be tried again."""
    fields = {"code": error.code, "why": error.message, "hint": error.hint}
    _log.warning("failed, will be tried again", extra=fields)


@asynccontextmanager
async def open_deps(settings: Settings) -> AsyncIterator[Deps]:
    """The ports, filled; closed at the end. May be called on any event loop.

    Raises:
        InputError: a setting is missing or wrong.
        StoreError: the agent's own store cannot be opened.
    """
    database_url = settings.require_database_url()
    settings.state_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    async with AsyncExitStack() as stack:
        store = await open_store(
            settings.resolved_store_url.get_secret_value(),
            notify_targets={one.name: one.events for one in settings.notify},
        )
        stack.push_async_callback(store.close)
        http = HttpxProbe()
        stack.push_async_callback(http.close)
        yield Deps(
            target=PsycopgTarget(database_url, connect_timeout_s=round(settings.connect_timeout_s)),
            tools=PostgresTools(database_url, folder=settings.tools_dir),
            objects=open_object_store(settings.resolved_backup_target),
            store=store,
            clock=SystemClock(),
            http=http,
            redactor=Redactor(settings.secrets()),
            jitter=random.random,
            read_folder=lambda: load_folder(settings.migrations, environ=os.environ, project_ref=settings.supabase_ref),
            read_runbook=lambda: load_runbook_file(settings.runbook),
            options=Options(
                project=settings.project,
                schemas=settings.deploy.schemas,
                lock_timeout_s=settings.deploy.lock_timeout_s,
                lock_attempts=settings.deploy.lock_attempts,
                statement_timeout_s=settings.deploy.statement_timeout_s,
                policy=settings.deploy.policy,
                targeted_restore=settings.deploy.targeted_restore,
            ),
            backup=backup_options(settings),
        )


def backup_options(settings: Settings) -> BackupOptions:
    """What the settings say about backups."""
    chosen = settings.backup
    cipher = None
    if chosen.age_recipients or chosen.age_identity:
        from agent.edges.encryption import AgeCipher  # noqa: PLC0415 - only who encrypts pays for it

        cipher = AgeCipher(recipients=chosen.age_recipients, identity=chosen.age_identity)
    return BackupOptions(
        schemas=settings.deploy.schemas,
        jobs=chosen.jobs,
        managed_data=chosen.include_data_of,
        min_bytes=chosen.min_bytes,
        keep_last=chosen.keep_last,
        keep_days=chosen.keep_days,
        cipher=cipher,
        encrypt=bool(chosen.age_recipients),
        work_dir=chosen.work_dir,
        lock_timeout_s=chosen.restore_lock_timeout_s,
        lock_attempts=chosen.restore_lock_attempts,
    )


@asynccontextmanager
async def scratch_database() -> AsyncIterator[tuple[Target, PgTools]]:
    """An empty Supabase-like database on an embedded Postgres of its own, gone afterwards.

    Raises:
        ToolError: `tool.embedded_missing`: the extra `embedded` is not installed.
    """
    from agent.edges.embedded import embedded_postgres  # noqa: PLC0415 - only a rehearsal needs it

    async with embedded_postgres() as server:
        await server.create_database("scratch")
        await server.bootstrap_supabase("scratch")
        url = SecretStr(server.admin_url("scratch"))
        yield PsycopgTarget(url), PostgresTools(url)


class Agent:
    """The agent as a person at the command line has it."""

    def __init__(self, settings: Settings, deps: Deps) -> None:
        self._settings = settings
        self._deps = deps
        self._one_at_a_time = asyncio.Lock()
        self._delivering: asyncio.Task[None] | None = None  # kept, or the loop would forget it

    @property
    def deps(self) -> Deps:
        """The ports, for those who need more than the requests below."""
        return self._deps

    async def plan(self, request: DeployRequest) -> Plan:
        """What a deploy would do now; changes nothing."""
        return await service.plan(self._deps, request)

    async def deploy(
        self,
        request: DeployRequest,
        on_event: Callable[[Event], None],
        on_start: Callable[[Deploy], None] = lambda _: None,
    ) -> Deploy:
        """Deploy, and follow it to its end.

        Where another process runs the engine on this volume (`serve`), the deploy is handed to it.

        Args:
            on_event: hears each event, in order.
            on_start: hears of each deploy before its events: first of one that a killed agent left behind, which
                is brought to its end before the new one starts.

        Raises:
            BusyError: `busy.deploying`: another deploy of the project is running.
        """
        async with AsyncExitStack() as stack:
            supervisor = await self._engine(stack)
            if supervisor is not None:
                for left in await supervisor.adopt():
                    on_start(await self._deps.store.get(left))
                    await supervisor.follow(left, self._telling(on_event))
            queued = await queue(self._deps, request)
            on_start(queued)
            if supervisor is None:
                return await service.follow(self._deps, queued.id, on_event)
            await supervisor.adopt()
            final = await supervisor.follow(queued.id, self._telling(on_event))
            await self._deliver()
            return final

    async def _engine(self, stack: AsyncExitStack) -> Supervisor | None:
        """The engine in this process, or None if another process has it."""
        try:
            return await stack.enter_async_context(running_engine(self._settings, self._deps))
        except BusyError as error:
            if error.code != "busy.volume":
                raise
            return None

    async def _deliver(self) -> None:
        """Tell the channels what they have not heard yet; what cannot be told now is told by the next agent."""
        async with self._one_at_a_time, outbox(self._settings, self._deps) as box:
            late = await box.drain(10.0)
        if late:
            report("notifications left for later", {"targets": list(late)})

    async def deploys(self, limit: int = 50) -> list[Deploy]:
        """Newest first."""
        return await self._deps.store.deploys(project=self._settings.project, limit=limit)

    async def get(self, deploy_id: str) -> Deploy:
        """By id or an unambiguous beginning of it. Raises NotFoundError."""
        return await self._deps.store.get(deploy_id)

    async def events(self, deploy_id: str, after: int = 0) -> list[Event]:
        """All events after a number."""
        return await read_events(self._deps.store, deploy_id, after=after)

    async def cancel(self, deploy_id: str, reason: str) -> Deploy:
        """Raise the cancel flag; whoever runs the deploy stops at the next safe point."""
        deploy = await self._deps.store.get(deploy_id)
        return await self._deps.store.request_cancel(deploy.id, reason=reason, now=self._deps.clock.now())

    async def approve(
        self, deploy_id: str, number: int, *, approve: bool, remark: str, on_event: Callable[[Event], None]
    ) -> Deploy:
        """Answer what a deploy has asked. Where no other process runs it, it goes on here, to its end.

        Raises:
            NotFoundError: `notfound.approval`: it asks nothing, or something else.
        """
        answered = await self._deps.store.answer_approval(
            deploy_id, number=number, approve=approve, by=_person(), remark=remark, now=self._deps.clock.now()
        )
        async with AsyncExitStack() as stack:
            supervisor = await self._engine(stack)
            if supervisor is None or answered.id not in await supervisor.adopt():
                return answered
            final = await supervisor.follow(answered.id, self._telling(on_event))
            await self._deliver()
            return final

    def _telling(self, on_event: Callable[[Event], None]) -> Callable[[Event], None]:
        """Hands events on, and tells the channels at once when people are asked: the deploy waits for them."""

        def heard(event: Event) -> None:
            on_event(event)
            if event.kind is EventKind.APPROVAL and event.data.get("answer") is None:
                self._delivering = asyncio.create_task(self._deliver())

        return heard

    async def doctor(self) -> list[Finding]:
        """Look at everything a deploy needs; severity `info` is what is in order."""
        store = Finding(
            code="doctor.store",
            severity=Severity.INFO,
            message=f"the agent's store answers ({self._settings.state_dir})",
        )
        return await service.doctor(self._deps, [store])

    async def backup(self, on_event: Callable[[NewEvent], None] = lambda _: None) -> BackupRecord:
        """Take a backup now."""
        return await service.backup(self._deps, on_event)

    async def backups(self) -> list[BackupRecord]:
        """Newest first."""
        return await self._deps.store.backups(project=self._settings.project)

    async def backup_manifest(self, backup_id: str) -> Manifest:
        """What is in a backup. Raises NotFoundError, BackupError."""
        record = await service.find_backup(self._deps, backup_id)
        return await load_manifest(self._deps.objects, record)

    async def diff(self, backup_id: str) -> tuple[BackupRecord, CatalogDiff]:
        """What of the catalog is not as a backup has it. Raises NotFoundError, BackupError, TargetError."""
        record = await service.find_backup(self._deps, backup_id or await service.last_backup(self._deps))
        return record, await diff_with_backup(self._deps, record)

    async def verify_backup(self, backup_id: str, *, restore: bool = False) -> BackupRecord:
        """Read a backup again: checksums and listing; with `restore` also into a scratch database."""
        return await verify_backup(
            tools=self._deps.tools,
            objects=self._deps.objects,
            store=self._deps.store,
            clock=self._deps.clock,
            backup=await service.find_backup(self._deps, backup_id),
            options=self._deps.backup,
            scratch=scratch_database if restore else None,
        )

    async def prune(self, *, dry_run: bool = False) -> list[BackupRecord]:
        """Remove what the retention rules let go; returns those."""
        return await prune(
            objects=self._deps.objects,
            store=self._deps.store,
            clock=self._deps.clock,
            project=self._settings.project,
            options=self._deps.backup,
            dry_run=dry_run,
        )

    async def restore(self, backup_id: str, on_event: Callable[[NewEvent], None]) -> BackupRecord:
        """Bring the application's schemas back to a backup, in place; returns the safety backup taken first."""
        async with AsyncExitStack() as stack:
            await self._engine(stack)
            return await service.restore(self._deps, backup_id, on_event)

    async def restore_to(
        self,
        backup_id: str,
        url: SecretStr,
        *,
        overwrite: bool,
        jobs: int | None,
        on_event: Callable[[NewEvent], None],
    ) -> Aside:
        """Restore a backup into another database, and compare it there; `jobs`: None takes `backup.jobs`."""
        return await service.restore_to(
            self._deps,
            backup_id,
            target=PsycopgTarget(url, connect_timeout_s=round(self._settings.connect_timeout_s)),
            tools=PostgresTools(url, folder=self._settings.tools_dir),
            overwrite=overwrite,
            jobs=jobs or self._settings.backup.jobs,
            emit=on_event,
        )

    @property
    def salvages(self) -> Salvages:
        """What was kept before restores."""
        return Salvages(self._deps)

    async def verify(self, on_event: Callable[[NewEvent], None]) -> list[CheckResult]:
        """Run the runbook's final checks now."""
        return await service.verify(self._deps, on_event)

    async def applied_versions(self) -> list[str]:
        """The versions that the database has."""
        return await service.applied_versions(self._deps)

    async def wait_for(self, version: str, timeout_s: float) -> None:
        """Return when the database has a version (or `latest`). Raises WaitTimeoutError."""
        await service.wait_for(self._deps, version, timeout_s=timeout_s)


def _person() -> str:
    """Who sits at the command line, as far as the system says."""
    with suppress(OSError, KeyError):  # a container's user may have no name
        return f"{getpass.getuser()} (cli)"
    return "cli"


@asynccontextmanager
async def open_agent(settings: Settings) -> AsyncIterator[Agent]:
    """The agent for one command. The engine is started only by what needs it."""
    async with open_deps(settings) as deps:
        yield Agent(settings, deps)


@asynccontextmanager
async def running_engine(
    settings: Settings, deps: Deps, moved: Callable[[], None] = lambda: None
) -> AsyncIterator[Supervisor]:
    """The durable engine in this process, alone on its volume; deploys that a dead worker left go on at once.

    Args:
        moved: called in this event loop when a deploy has changed its state.

    Raises:
        BusyError: `busy.volume`: another process has it.
    """
    loop = asyncio.get_running_loop()

    async def body(ctx: Ctx) -> str:  # on the engine's own event loop
        async with open_deps(settings) as own:
            state = await run_deploy(ctx, replace(own, moved=lambda: _call_soon(loop, moved)))
        report("deploy ended", {"deploy_id": ctx.deploy_id, "state": state.value})
        return state

    store_url = settings.store_url
    with lock_volume(settings.state_dir):
        # DBOS takes a second to import: HTTP answers meanwhile.
        engine_module = await asyncio.to_thread(importlib.import_module, "agent.edges.engine")
        if store_url is not None and store_url.get_secret_value().startswith("postgres"):
            url, executor = store_url.get_secret_value(), _executor(settings)
        else:
            url, executor = f"sqlite:///{(settings.state_dir / 'engine.db').absolute()}", "local"
        async with engine_module.open_engine(url, executor_id=executor, body=body) as engine:
            yield Supervisor(deps, engine, report, scratch=scratch_database)


def _executor(settings: Settings) -> str:
    """Names this agent among those that share a store: the same after a restart, another one for another volume."""
    volume = hashlib.sha256(str(settings.state_dir.absolute()).encode()).hexdigest()[:8]
    return f"{settings.project}@{socket.gethostname()}/{volume}"


def _call_soon(loop: asyncio.AbstractEventLoop, action: Callable[[], None]) -> None:
    """In another thread's event loop, if it has not ended."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(action)


@asynccontextmanager
async def outbox(settings: Settings, deps: Deps) -> AsyncIterator[Outbox]:
    """The notifier of the settings' channels."""
    notifiers: dict[str, Notifier] = {}
    async with AsyncExitStack() as stack:
        if settings.notify:
            from agent.edges.notifiers import make_client, make_notifier  # noqa: PLC0415 - httpx is large

            client = make_client()
            stack.push_async_callback(client.aclose)
            notifiers = {
                one.name: make_notifier(
                    name=one.name, kind=one.kind, url=one.url, secret=one.secret, client=client, now=deps.clock.now
                )
                for one in settings.notify
            }
        yield Outbox(
            store=deps.store,
            notifiers=notifiers,
            compose=lambda deploy, events, seq: compose(deploy, events, seq).model_dump(mode="json"),
            clock=deps.clock,
            random=random.random,
            on_error=report_error,
        )
