"""The checklist before a deploy: reads, except for a small object written to the backup target and removed again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from agent import sql
from agent.core import preflight as judge
from agent.core.models import Finding, Severity
from agent.core.planning import Plan
from agent.core.preflight import PreflightLimits, Rows
from agent.core.runbook import Runbook
from agent.core.touched import Touched, touched
from agent.deploy.api_checks import ApiProbe
from agent.deploy.beside import beside
from agent.deploy.checks import HttpProbe, run_checks
from agent.deploy.emitter import Emit
from agent.deploy.snapshot import application_schemas
from agent.errors import AgentError, BackupError
from agent.ports import Clock, ObjectStore, Params, PgTools, Platform, Session, Target

_STATEMENT_TIMEOUT = "10s"
_LOCK_TIMEOUT = "2s"


@dataclass(frozen=True, kw_only=True)
class Question:
    """One file of `sql/preflight/`, and what its rows mean; `about` is what is not known if it fails."""

    file: str
    about: str
    judge: Callable[[Rows, PreflightLimits], list[Finding]]
    params: Params | None = field(default=None)


def questions(schemas: tuple[str, ...], limits: PreflightLimits) -> tuple[Question, ...]:
    """All that the database itself is asked.

    Args:
        schemas: the application's.
        limits: from where on something counts.
    """
    within: Mapping[str, object] = {"schemas": list(schemas)}
    return (
        Question(file="server", about="server version and whether it can be written to", judge=judge.server),
        Question(file="server", about="age of the transaction ids", judge=judge.wraparound),
        Question(file="privileges", about="privileges of the role", judge=judge.privileges),
        Question(file="history", about="the history table", judge=judge.history),
        Question(file="capacity", about="free connections and locks", judge=judge.capacity, params=within),
        Question(
            file="long_transactions",
            about="long transactions",
            judge=judge.long_transactions,
            params={"seconds": limits.long_transaction_s},
        ),
        Question(file="blocked", about="blocked sessions", judge=judge.blocked),
        Question(file="prepared", about="prepared transactions", judge=judge.prepared),
        Question(file="invalid_indexes", about="invalid indexes", judge=judge.invalid_indexes, params=within),
        Question(
            file="slots", about="replication slots", judge=judge.slots, params={"bytes": limits.retained_wal_bytes}
        ),
        Question(
            file="replicas", about="replication lag", judge=judge.replicas, params={"seconds": limits.replica_lag_s}
        ),
    )


async def run_preflight(
    *,
    session: Session,
    target: Target,
    tools: PgTools,
    objects: ObjectStore,
    plan: Plan,
    runbook: Runbook | None,
    clock: Clock,
    http: HttpProbe | None,
    api: ApiProbe | None = None,
    emit: Emit,
    limits: PreflightLimits | None = None,
    tls_missing: str = "",
    platform: Platform | None = None,
    ref: str = "",
    platform_required: bool = False,
) -> list[Finding]:
    """Look at everything that could make the deploy fail, before it touches anything.

    What cannot be looked at is a warning `preflight.not_checked`, never silence. Findings of `tools` and `objects`
    keep their own codes (`tool.…`, `backup.…`).

    Args:
        session: outside a transaction.
        limits: from where on something counts; None: the defaults.
        tls_missing: what somebody between the agent and the database could do, or "".
        platform: None: there is no token for the Management API.
        ref: of the hosted project, or "".
        platform_required: what the platform could not be asked is an error.

    Raises:
        TargetError: `target.connection_lost`.
    """
    limits = limits or PreflightLimits()
    findings = judge.unverified_server(tls_missing, target.label)
    async with _guarded(session):
        schemas = await application_schemas(session, ())
        major = int(await session.value(sql.load("target/major")))
        address = str(await session.value(sql.load("preflight/address"))) if platform is not None else ""
        outside = (
            _look_at_platform(
                platform, target, clock, ref=ref, address=address, major=major, required=platform_required
            ),
            _attempt("the tools", _look_at_tools(tools, major), pass_on=True),
            _attempt("the backup target", _look_at_target(objects, clock), pass_on=True),
        )
        async with beside(*outside) as looks, beside(asyncio.to_thread(touched, plan.scripts)) as [reading]:
            answers: dict[str, Rows] = {}
            for question in questions(schemas, limits):
                findings += await _attempt(question.about, _ask(session, question, answers, limits))
            findings += await _attempt("a second connection", _connect_again(target), pass_on=True)
            findings += await _attempt("rights on tables and schemas", _look_at_rights(session, reading))
            findings += await _attempt("space for the backup", _look_at_space(session, objects, schemas))
            findings += [one for look in looks for one in await look]
    if runbook is not None and runbook.preflight.checks and not _stops(findings):
        results = await run_checks(
            session,
            runbook.preflight.checks,
            phase="preflight",
            before={},
            clock=clock,
            http=http,
            api=api,
            emit=emit,
            snapshot=runbook.snapshot,
        )
        findings += judge.failed_checks(results)
    return findings


def _stops(findings: list[Finding]) -> bool:
    return any(one.severity is Severity.ERROR for one in findings)


@asynccontextmanager
async def _guarded(session: Session) -> AsyncIterator[None]:
    """Within it no question takes long, and none queues for a lock."""
    timeouts = {"statement_timeout": _STATEMENT_TIMEOUT, "lock_timeout": _LOCK_TIMEOUT}
    await session.run(sql.load("preflight/guard"), timeouts)
    try:
        yield
    finally:
        await session.run(sql.load("preflight/unguard"))


async def _attempt(about: str, work: Awaitable[list[Finding]], *, pass_on: bool = False) -> list[Finding]:
    """The work's findings; or, if it fails, the failure as one.

    Args:
        about: what is not known then.
        pass_on: the failure itself is the finding, an error under its own code.
    """
    try:
        return await work
    except AgentError as error:
        if error.code == "target.connection_lost":
            raise
        if pass_on:
            return [judge.finding_of(error)]
        return [judge.not_checked(about, error.message)]


async def _ask(
    session: Session, question: Question, answers: dict[str, Rows], limits: PreflightLimits
) -> list[Finding]:
    if question.file not in answers:
        answers[question.file] = await session.rows(sql.load(f"preflight/{question.file}"), question.params)
    return question.judge(answers[question.file], limits)


async def _look_at_rights(session: Session, reading: Awaitable[Touched]) -> list[Finding]:
    """Whether the role owns what the migrations alter, and may create where they create."""
    wanted = await reading
    tables = {"schemas": [schema for schema, _ in wanted.tables], "names": [name for _, name in wanted.tables]}
    foreign = await session.rows(sql.load("preflight/owners"), tables)
    closed = await session.rows(sql.load("preflight/schemas"), {"schemas": list(wanted.schemas)})
    return [*judge.owners(foreign, wanted), *judge.schemas(closed, wanted)]


async def _look_at_platform(
    platform: Platform | None, target: Target, clock: Clock, *, ref: str, address: str, major: int, required: bool
) -> list[Finding]:
    if platform is None:
        return judge.no_token(ref, required=required)
    from agent.deploy.platform import Connected, look_at_platform  # noqa: PLC0415 - only who has a token pays for it

    connected = Connected(host=target.label.rpartition(":")[0], address=address, major=major)
    return await look_at_platform(platform, connected, now=clock.now(), required=required)


async def _connect_again(target: Target) -> list[Finding]:
    """A deploy needs more than one session, and the limits of a pooler are not in any view."""
    async with target.session(purpose="preflight"):
        return []


async def _look_at_tools(tools: PgTools, major: int) -> list[Finding]:
    """Present, and of the server's major version or newer: pg_dump refuses a newer server."""
    found = await tools.versions()
    old = {path: version for path, version in found.items() if int(version.split(".")[0]) < major}
    if not old:
        return []
    path, version = next(iter(old.items()))
    return [
        Finding(
            code="tool.too_old",
            severity=Severity.ERROR,
            message=f"{path} is version {version}, older than the server ({major})",
            hint=f"Install the PostgreSQL client programs of version {major} or newer, or set tools_dir.",
            where={"file": path},
        )
    ]


async def _look_at_target(objects: ObjectStore, clock: Clock) -> list[Finding]:
    """Write a small object, read it back, remove it."""
    key = f"preflight-{clock.now():%Y%m%dT%H%M%S%f}.probe"
    content = key.encode()
    try:
        await objects.put_bytes(key, content)
        if await objects.get_bytes(key) != content:
            raise BackupError(
                f"{objects.label} gives back something else than was written",
                code="backup.target_failed",
                hint="Check what lies between the agent and the backup target.",
            )
    finally:
        await objects.delete(key)
    return []


async def _look_at_space(session: Session, objects: ObjectStore, schemas: tuple[str, ...]) -> list[Finding]:
    size = int(await session.value(sql.load("preflight/size"), {"schemas": list(schemas)}))
    async with objects.upload("preflight-space") as upload:
        free = await upload.free_bytes()
    return judge.disk_space(size, free, objects.label)
