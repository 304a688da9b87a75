"""Joins the edges to the deploy and the web: the only module that knows them all, and it decides nothing."""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import logging
import os
import random
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

    from agent.core.platform import BranchDetail

from agent import __version__
from agent.core.states import State
from agent.deploy.api_access import ApiAccess
from agent.deploy.backup import BackupOptions
from agent.deploy.deps import Deps, Options, PlatformRestore
from agent.deploy.outbox import Outbox
from agent.deploy.supervisor import Supervisor
from agent.deploy.traced import TracedTarget
from agent.deploy.tracing import deploy_trace
from agent.deploy.workflow import run_deploy
from agent.edges.api_probe import SupabaseProbe
from agent.edges.exposition import read_sample
from agent.edges.folder import load_folder
from agent.edges.http_probe import HttpxProbe
from agent.edges.object_store import open_object_store
from agent.edges.pgtools import PostgresTools
from agent.edges.runbook_file import load_runbook_file
from agent.edges.store import open_store
from agent.edges.target import PsycopgTarget
from agent.edges.volume import lock_volume, make_state_folder
from agent.errors import AgentError, DeliveryError, InputError
from agent.ports import Ctx, Notifier, PgTools, Platform, Target, Tracer
from agent.report.chat import compose
from agent.settings import ApiSettings, Live, NotifySettings, Settings
from agent.settings.database_url import passwords_in

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


def report_lock(executor: str, why: str) -> None:
    """Whether other agents on the store see that this one lives; `why`: they do not, or ""."""
    if why:
        _log.warning("executor lock lost", extra={"executor": executor, "why": why})
    else:
        report("executor lock held again", {"executor": executor})


def report_dead(target: str, why: DeliveryError) -> None:
    """A message that will never arrive."""
    _log.error("message given up", extra={"target": target, "code": why.code, "why": why.message, "hint": why.hint})


@asynccontextmanager
async def open_deps(settings: Settings, live: Live | None = None) -> AsyncIterator[Deps]:
    """The ports, filled; closed at the end. May be called on any event loop.

    Args:
        live: gives the secrets of each moment; None: those of the settings.

    Raises:
        InputError: a setting is missing or wrong.
        StoreError: the agent's own store cannot be opened.
    """
    live = live or Live.fixed(settings)
    if not settings.platform.login_role and settings.deploy.via == "database":
        settings.require_database_url()
    make_state_folder(settings.state_dir)
    async with AsyncExitStack() as stack:
        store = await open_store(
            settings.resolved_store_url.get_secret_value(),
            notify_targets={one.name: one.events for one in settings.notify},
        )
        stack.push_async_callback(store.close)
        http = HttpxProbe()
        stack.push_async_callback(http.close)
        platform = await stack.enter_async_context(open_platform(settings, live))
        access = ApiAccess(
            url=settings.resolved_api_url,
            anon=lambda: live.now().api.anon_key,
            service=lambda: live.now().api.service_key,
            platform=platform,
        )
        target, tools = await _project_connectors(stack, settings, live, platform)
        objects = open_object_store(
            settings.resolved_backup_target,
            storage_key=lambda: live.now().backup.storage_key,
            storage_url=settings.backup.storage_url,
        )
        stack.push_async_callback(objects.close)
        yield Deps(
            target=target,
            tools=tools,
            objects=objects,
            store=store,
            clock=SystemClock(),
            http=http,
            api=SupabaseProbe(access, redactor=live.redactor),
            redactor=live.redactor,
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
                platform_restore=PlatformRestore(
                    deadline_s=settings.deploy.platform_restore_deadline, store_within=settings.store_is_on_the_target
                ),
                targeted_restore=settings.deploy.targeted_restore,
                tls_missing=settings.tls_missing,
                ref=settings.platform_ref,
                platform_required=settings.platform.required,
                via_api=settings.deploy.via == "api",
            ),
            backup=backup_options(settings),
            platform=platform,
            read_metrics=read_sample,
        )


@asynccontextmanager
async def open_platform(settings: Settings, live: Live) -> AsyncIterator[Platform | None]:
    """The project on the platform, or None: there is no token, or nobody says which project it is.

    Args:
        live: gives the token of each moment.

    Raises:
        InputError: `settings.platform_ca_file`.
    """
    chosen, given = settings.platform, settings.platform.token
    if given is None or not settings.platform_ref:
        yield None
        return
    from agent.edges.management_api import ManagementApi, Timing  # noqa: PLC0415 - only who has a token pays for it

    api = ManagementApi(
        ref=settings.platform_ref,
        token=lambda: live.now().platform.token or given,
        base_url=chosen.base_url,
        ca_file=chosen.ca_file,
        proxy=chosen.proxy,
        timing=Timing(timeout_s=chosen.timeout_s, deadline_s=chosen.deadline_s),
        on_call=lambda call: _log.debug("management api", extra=call.model_dump()),
    )
    try:
        yield api
    finally:
        await api.close()


async def _project_connectors(
    stack: AsyncExitStack, settings: Settings, live: Live, platform: Platform | None
) -> tuple[Target, PgTools]:
    """What reaches the project's database, with the platform's help where there is a token."""
    if platform is None:
        return connectors(settings, lambda: live.now().require_database_url())
    from agent.deploy.connection import HelpedTarget, TemporaryLogin  # noqa: PLC0415 - only who has a token pays for it

    if settings.deploy.via == "api":
        return _only_api(settings, platform)
    clock = SystemClock()
    if not settings.platform.login_role:
        target, tools = connectors(settings, lambda: live.now().require_database_url())
        return HelpedTarget(target, platform, clock), tools
    url = settings.database_url
    login = await stack.enter_async_context(
        TemporaryLogin(
            platform,
            clock,
            url=url,
            fallback=url is not None and bool(passwords_in(url.get_secret_value())),
            learn=live.redactor.learn,
            tell=report_error,
        )
    )
    target, tools = connectors(settings, login.dsn)
    return HelpedTarget(target, platform, clock, renew=login.renew), tools


def _only_api(settings: Settings, platform: Platform) -> tuple[Target, PgTools]:
    """What reads over the API; the client programs can still read backups, and reach no database."""
    from agent.edges.platform_target import PlatformTarget  # noqa: PLC0415 - few need it

    return PlatformTarget(platform), PostgresTools(SecretStr("host=no-database.invalid"), folder=settings.tools_dir)


def connectors(settings: Settings, url: Callable[[], SecretStr]) -> tuple[Target, PgTools]:
    """What reaches a database: sessions, and the client programs.

    Args:
        url: the database's, asked for each connection: its password may change.

    Raises:
        InputError: `input.database_url`: the URL cannot be parsed.
    """

    def dsn() -> SecretStr:
        return settings.connection_to(url())

    target = PsycopgTarget(dsn, connect_timeout_s=round(settings.connect_timeout_s))
    return target, PostgresTools(dsn, folder=settings.tools_dir)


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
        ahead_bytes=chosen.restore_ahead_bytes,
    )


@asynccontextmanager
async def open_branch(settings: Settings, detail: BranchDetail, folder: Path) -> AsyncIterator[Deps]:
    """The ports for a branch of the project: nothing of them leads to the project itself.

    Args:
        settings: the project's.
        detail: the branch, ready.
        folder: where store and backups of the rehearsal lie.

    Raises:
        TargetError: the branch cannot be reached.
    """
    from agent.core.rehearsal import for_branch  # noqa: PLC0415 - only a rehearsal needs it
    from agent.deploy.rehearsal import branch_url  # noqa: PLC0415

    own = settings.model_copy(
        update={
            "state_dir": folder,
            "store_url": None,
            "notify": (),
            "api": ApiSettings(),
            "platform": settings.platform.model_copy(
                update={"ref": detail.ref, "login_role": False, "required": False}
            ),
            "deploy": settings.deploy.model_copy(
                update={"restore": "auto", "platform_restore": "hold", "max_rows_lost": None, "max_downtime": None}
            ),
            "backup": settings.backup.model_copy(
                update={"target": "", "storage_key": None, "storage_url": "", "age_recipients": (), "min_bytes": 0}
            ),
        }
    )

    async def connect(url: SecretStr) -> None:
        target, _ = connectors(own, lambda: url)
        async with target.session(purpose="rehearsal"):
            pass

    async with open_platform(own, Live.fixed(own)) as platform:
        assert platform is not None  # noqa: S101 - there is a token, or there were no branch
        url = await branch_url(detail, connect=connect, poolers=platform.poolers)
    own = own.model_copy(update={"database_url": url})
    async with open_deps(own) as deps:
        yield replace(deps, read_runbook=lambda: for_branch(deps.read_runbook()))


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


@asynccontextmanager
async def running_engine(
    settings: Settings, deps: Deps, moved: Callable[[State], None] = lambda _: None, *, live: Live | None = None
) -> AsyncIterator[Supervisor]:
    """The durable engine in this process, alone on its volume. What dead workers left goes on with `Supervisor.adopt`.

    Args:
        moved: called in this event loop with the new state when a deploy has changed it.
        live: gives the secrets of each moment; None: those of the settings.

    Raises:
        BusyError: `busy.volume`: another process has it.
        StoreError: `engine.lock_lost`, `engine.taken_over`: a deploy runs here, and others may go on with it.
    """
    loop = asyncio.get_running_loop()

    async def body(ctx: Ctx) -> str:  # on the engine's own event loop
        async with open_deps(settings, live) as opened:
            own = replace(opened, moved=lambda new: _call_soon(loop, partial(moved, new)))
            if tracer is not None:
                own = replace(own, tracer=tracer, target=TracedTarget(own.target, tracer))
            async with deploy_trace(own, ctx.deploy_id):
                state = await run_deploy(ctx, own)
                report("deploy ended", {"deploy_id": ctx.deploy_id, "state": state.value})
        return state

    store_url = settings.resolved_store_url.get_secret_value()
    with lock_volume(settings.state_dir), _telemetry(settings) as tracer:
        # DBOS takes a second to import: HTTP answers meanwhile.
        engine_module = await asyncio.to_thread(importlib.import_module, "agent.edges.engine")
        if store_url.startswith("postgres"):
            url, executor = store_url, _executor(settings)
        else:
            url, executor = f"sqlite:///{(settings.state_dir / 'engine.db').absolute()}", "local"
        async with engine_module.open_engine(url, executor_id=executor, body=body, on_lock=report_lock) as engine:
            yield Supervisor(deps, engine, report, scratch=scratch_database)


@contextmanager
def _telemetry(settings: Settings) -> Iterator[Tracer | None]:
    """Where deploys are traced to, or None. What is left is sent at the end, for two seconds at most.

    Raises:
        InputError: `settings.telemetry`: the extra `otel` is not installed.
    """
    chosen = settings.telemetry
    if not chosen.endpoint:
        yield None
        return
    try:
        from agent.edges.telemetry import OtelTracer  # noqa: PLC0415 - large, and an extra
    except ImportError as error:
        raise InputError(
            f"telemetry.endpoint is set, but OpenTelemetry is not installed ({error.name} is missing)",
            code="settings.telemetry",
            hint="Install the extra: pip install 'supabase-deploy-agent[otel]', or leave telemetry.endpoint empty.",
            where={"field": "telemetry.endpoint"},
        ) from error
    tracer = OtelTracer(
        endpoint=chosen.endpoint,
        headers=chosen.header_values,
        service_name=chosen.service_name,
        sample_ratio=chosen.sample_ratio,
        timeout_s=chosen.timeout_s,
        version=__version__,
    )
    try:
        yield tracer
    finally:
        tracer.close()


def volume_mark(settings: Settings) -> str:
    """Eight characters that tell this agent on its volume from all others."""
    return hashlib.sha256(_executor(settings).partition("#")[0].encode()).hexdigest()[:8]


def _executor(settings: Settings) -> str:
    """Names this process among those that share a store: `project@host/volume#process`.

    What is before `#` is the same after a restart on the same volume. The last part never comes again, so that nothing
    but a look at its lock tells whether the process lives.
    """
    volume = hashlib.sha256(str(settings.state_dir.absolute()).encode()).hexdigest()[:8]
    return f"{settings.project}@{socket.gethostname()}/{volume}#{secrets.token_hex(4)}"


def _call_soon(loop: asyncio.AbstractEventLoop, action: Callable[[], None]) -> None:
    """In another thread's event loop, if it has not ended."""
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(action)


class _Channel:
    """One channel of the settings, with the address and the key that it has when something is sent.

    Raises:
        InputError: `settings.notify_…`: they are not what its kind needs.
    """

    def __init__(
        self, first: NotifySettings, live: Live, client: httpx.AsyncClient, now: Callable[[], datetime]
    ) -> None:
        self.name = first.name
        self._first = first
        self._live = live
        self._client = client
        self._now = now
        self._made(first)

    async def send(self, payload: Mapping[str, Any]) -> None:
        """See `ports.Notifier.send`."""
        known = {one.name: one for one in self._live.now().notify}
        await self._made(known.get(self.name, self._first)).send(payload)

    def _made(self, one: NotifySettings) -> Notifier:
        from agent.edges.notifiers import make_notifier  # noqa: PLC0415 - httpx is large

        return make_notifier(
            name=one.name, kind=one.kind, url=one.url, secret=one.secret, client=self._client, now=self._now
        )


@asynccontextmanager
async def outbox(settings: Settings, deps: Deps, live: Live | None = None) -> AsyncIterator[Outbox]:
    """The notifier of the settings' channels; `live`: their addresses and keys of each moment."""
    notifiers: dict[str, Notifier] = {}
    async with AsyncExitStack() as stack:
        if settings.notify:
            from agent.edges.notifiers import make_client  # noqa: PLC0415 - httpx is large

            client = make_client()
            stack.push_async_callback(client.aclose)
            live = live or Live.fixed(settings)
            notifiers = {one.name: _Channel(one, live, client, deps.clock.now) for one in settings.notify}
        yield Outbox(
            store=deps.store,
            notifiers=notifiers,
            compose=lambda deploy, events, seq: compose(deploy, events, seq).model_dump(mode="json"),
            clock=deps.clock,
            random=random.random,
            on_error=report_error,
            on_dead=report_dead,
        )
