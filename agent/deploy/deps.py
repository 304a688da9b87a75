"""What a deploy works with: the ports it was given, and the run it is in."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from agent import sql
from agent.core.migrations import Folder
from agent.core.models import EventKind, Failure, Severity, Snapshot
from agent.core.planning import Plan
from agent.core.platform_metrics import Sample
from agent.core.redaction import Redactor
from agent.core.restore_policy import Policy
from agent.core.runbook import Runbook
from agent.core.states import Move, State
from agent.deploy.api_checks import ApiProbe
from agent.deploy.backup import BackupOptions
from agent.deploy.beside import beside
from agent.deploy.checks import HttpProbe
from agent.deploy.emitter import Emitter
from agent.errors import AgentError, BusyError, StatementError, StoreError, TargetError
from agent.ports import Clock, DeployStore, ObjectStore, PgTools, Platform, Row, Session, Target, Tracer


@dataclass(frozen=True, kw_only=True)
class PlatformRestore:
    """How long a restore by the platform is waited for, all in seconds.

    `deadline_s`: for its end, since it was asked for. `begin_s`: for a sign that it has begun. `point_s`: until a
    restore point is available. `window_s`: until the moment can be restored. `poll_s`: between two looks. `tell_s`:
    between two events of the same. `store_within`: the agent's own store is in the project, and would go back with it.
    """

    deadline_s: float = 2400.0
    begin_s: float = 300.0
    point_s: float = 120.0
    window_s: float = 600.0
    poll_s: float = 5.0
    tell_s: float = 60.0
    store_within: bool = False


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the settings say about deploys.

    `lock_timeout_s`: how long a statement may wait for a lock before the file is rolled back and tried again,
    `lock_attempts` times in all. `statement_timeout_s`: 0 means none. `schemas`: empty means all of the application's.
    `policy`: how far a restore may go by itself; `platform_restore`: how long one by the platform is waited for.
    `poll_s`: seconds between two looks at the cancel flag, or at an answer that is waited for. `targeted_restore`: rung
    3 is tried before rung 4. `tls_missing`: what somebody between the agent and the database could do, in words, or "".
    `ref`: of the hosted project, or "". `platform_required`: what the platform could not be asked stops a deploy.
    `via_api`: there is no connection to the database, only the Management API; `via_api_limit_s`: how long the one
    transaction may take there (the platform ends a request after about a minute, guides/database/timeouts);
    `via_api_doubt_s`: how much longer it is looked for, where it was not answered.
    """

    project: str
    schemas: tuple[str, ...] = ()
    lock_timeout_s: float = 4.0
    lock_attempts: int = 6
    statement_timeout_s: float = 0.0
    policy: Policy = field(default_factory=Policy)
    platform_restore: PlatformRestore = field(default_factory=PlatformRestore)
    poll_s: float = 0.5
    targeted_restore: bool = True
    tls_missing: str = ""
    ref: str = ""
    platform_required: bool = False
    via_api: bool = False
    via_api_limit_s: float = 50.0
    via_api_doubt_s: float = 600.0


@dataclass(frozen=True, kw_only=True)
class Deps:
    """The ports, as bootstrap joined them. `jitter` gives numbers between 0 and 1.

    `moved`: hears of each new state, and of the one in which people are asked.
    `platform`: None where the agent has no token for the Management API. `read_metrics`: for its metrics.
    `tracer`: None where telemetry is off.
    """

    target: Target
    tools: PgTools
    objects: ObjectStore
    store: DeployStore
    clock: Clock
    http: HttpProbe | None
    api: ApiProbe | None
    redactor: Redactor
    jitter: Callable[[], float]
    read_folder: Callable[[], Folder]
    read_runbook: Callable[[], Runbook | None]
    options: Options
    backup: BackupOptions
    read_metrics: ReadMetrics
    moved: Callable[[State], None] = lambda _: None
    platform: Platform | None = None
    tracer: Tracer | None = None


class ReadMetrics(Protocol):
    """Reads Prometheus' text format."""

    def __call__(self, text: str, names: Collection[str], *, at: datetime) -> Sample:
        """The series of these names. Raises PlatformError `platform.bad_answer`."""
        ...


class Stop(Exception):  # noqa: N818 - it carries a failure, it is not one
    """Ends what is being done, rolling it back; the failure says why."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.message)
        self.failure = failure


@dataclass(kw_only=True)
class Run:
    """One deploy while a worker has it: nothing here survives a crash, and nothing here has to."""

    deps: Deps
    deploy_id: str
    emitter: Emitter
    resources: AsyncExitStack
    plan: Plan | None = None
    runbook: Runbook | None = None
    before: Snapshot | None = None
    recalled: bool = False
    cancel_reason: str = ""
    interruptible: bool = False
    held: tuple[Session, str] | None = None
    watched: tuple[int, ...] = ()
    ours: tuple[int, ...] = ()
    _session: Session | None = field(default=None, repr=False)
    _numbers: dict[str, int] = field(default_factory=dict, repr=False)

    @property
    def purpose(self) -> str:
        """What the sessions of this deploy are called, so that they can be found again."""
        return self.deploy_id

    def position(self, version: str) -> tuple[int, int]:
        """A pending migration's number, counted from 1, and how many there are."""
        if not self._numbers and self.plan is not None:
            self._numbers = {one.migration.version: number for number, one in enumerate(self.plan.scripts, start=1)}
        return self._numbers[version], len(self._numbers)

    async def session(self) -> Session:
        """The one session that holds the deploy lock and does the writing; opened when first asked for.

        Raises:
            BusyError: `busy.locked`: another deploy holds the lock; it is named.
            TargetError: the database cannot be reached.
        """
        if self._session is None and self.deps.options.via_api:  # it only reads, so it holds no lock
            self._session = await self.deps.target.connect(purpose="deploy")
        if self._session is None:
            session = await self.deps.target.connect(purpose=self.purpose)
            try:
                await take_lock(session, self.deps.clock, take_over=True)
            except BaseException:
                await session.close()
                raise
            session.on_notice(None)
            self._session = session
        return self._session

    async def clean_session(self) -> Session:
        """The one session without anything that migrations left in it: role, settings, temporary tables.

        A migration may have released the deploy lock, so it is taken again; the server counts.

        Raises:
            BusyError, TargetError: as `session`.
        """
        session = await self.session()
        if await session.in_transaction():
            await session.run("ROLLBACK")
        await session.run(sql.load("target/clean"))
        await take_lock(session, self.deps.clock, take_over=True)
        return session

    async def drop_session(self) -> None:
        """Close the session (it is lost, or in an unknown state); the next `session()` opens another."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def move(
        self, state: State, move: Move, message: str, *, failure: Failure | None = None, **fields: object
    ) -> State:
        """Record a transition, after all events before it; secrets are masked."""
        await self.emitter.flush()
        redactor = self.deps.redactor
        if failure is not None:
            failure = Failure.model_validate(redactor.deep(failure.model_dump()))
        after = await self.deps.store.transition(
            self.deploy_id,
            expected=state,
            move=move,
            now=self.deps.clock.now(),
            message=redactor(message),
            failure=failure,
            **fields,  # type: ignore[arg-type]  # the store's own keywords, passed on
        )
        self.deps.moved(after)
        return after

    async def pause(self, seconds: float) -> None:
        """Wait, and stop waiting if somebody cancels.

        Raises:
            Stop: with cause `cancelled`.
        """
        clock = self.deps.clock
        until = clock.now() + timedelta(seconds=seconds)
        while (left := (until - clock.now()).total_seconds()) > 0:
            self.check_cancelled()
            await clock.sleep(min(left, self.deps.options.poll_s))
        self.check_cancelled()

    def check_cancelled(self) -> None:
        """Stop here if somebody asked to.

        Raises:
            Stop: with cause `cancelled`.
        """
        if self.cancel_reason:
            raise Stop(cancelled(self.cancel_reason))


def cancelled(reason: str) -> Failure:
    """The failure of a deploy that a person stopped."""
    return Failure(cause="cancelled", code="deploy.cancelled", message=f"cancelled: {reason}")


def failure_of(error: AgentError, *, cause: str = "agent", **where: object) -> Failure:
    """An error as the reason of a failed deploy."""
    extra: dict[str, object] = {}
    if isinstance(error, StatementError):
        extra = {"sqlstate": error.sqlstate, "detail": error.detail or error.server_hint}
    if error.code == "target.connection_lost":
        cause = "lost_connection"
    return Failure.model_validate(
        {"cause": cause, "code": error.code, "message": error.message, "hint": error.hint, **extra, **where}
    )


async def take_lock(session: Session, clock: Clock, *, take_over: bool = False, attempts: int = 50) -> None:
    """Take the deploy lock.

    Args:
        take_over: end the session that holds it if it has the name of this one. Only where that name is nobody
            else's: a deploy's is its id, so such a session is what an earlier worker of it has left.
        attempts: how often to try, a tenth of a second apart, after a session was ended.

    Raises:
        BusyError: `busy.locked`: somebody else holds the lock, and is named.
    """
    for _ in range(attempts):
        if await session.value(sql.load("lock/take")):
            return
        holders = await session.rows(sql.load("lock/holders"))
        mine = [row for row in holders if row["same_name"]] if take_over else []
        if not mine and holders:
            raise BusyError(
                f"another deploy or restore is running on this database: {_name(holders[0])}",
                code="busy.locked",
                hint="Wait for it to end, or cancel it where it was started.",
            )
        for row in mine:
            await session.value(sql.load("lock/terminate"), {"pid": row["pid"]})
        await clock.sleep(0.1)
    raise BusyError(
        "the deploy lock is not released by the session of an earlier worker",
        code="busy.locked",
        hint="See `select * from pg_stat_activity where application_name like 'deploy-agent/%'`.",
    )


def _name(row: Row) -> str:
    who = row["application_name"] or "a session"
    return f"{who} of {row['usename']} (pid {row['pid']}, since {row['backend_start']:%H:%M:%S})"


async def _look_for_cancel(run: Run) -> None:
    if not run.cancel_reason:
        run.cancel_reason = (await run.deps.store.get(run.deploy_id)).cancel_reason
    session = run._session  # noqa: SLF001 - the run's own
    if run.cancel_reason and run.interruptible and session is not None:
        await session.cancel()


@asynccontextmanager
async def watch_cancel(run: Run) -> AsyncIterator[None]:
    """Look at the cancel flag while the body runs; interrupt the database where that is safe.

    A look that fails is told once, and the next one tries again: a store that stays away stops the deploy at its
    next write.
    """

    async def watch() -> None:
        told = ""
        while True:
            try:
                await _look_for_cancel(run)
                told = ""
            except (StoreError, TargetError) as error:
                if error.code != told:
                    message = f"a request to cancel could not be read or passed on: {error}"
                    run.emitter.emit(EventKind.LOG, message, severity=Severity.WARNING)
                told = error.code
            await run.deps.clock.sleep(run.deps.options.poll_s)

    async with beside(watch()):
        yield
