"""Migration files on their way to the server: one or several in a message, and whose an error or a NOTICE is."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from itertools import accumulate

from agent import sql
from agent.core.managed import TEMPORARY_LOGINS
from agent.core.models import EventKind, Failure, Severity, Strategy
from agent.core.scripts import Script
from agent.deploy.deps import Run, Stop, cancelled, failure_of
from agent.deploy.monitors import monitoring
from agent.deploy.tracing import span
from agent.errors import StatementError
from agent.ports import Attributes, Notice, Session, trace_comment

SEALED = "DA002"  # raised by sql/ledger/functions.sql
_UNSAFE_ENUM_USE = "55P04"  # PostgreSQL documentation, appendix A
FENCED = frozenset({"DA001", SEALED})  # DA001: the same


def prelude(run: Run, session: Session) -> list[str]:
    """What is sent before each file: no setting or role of an earlier file reaches a later one.

    Where the deploy is traced it also tells the server, in the same message as the file, which trace that belongs to.
    """
    options = run.deps.options
    return [
        f"RESET SESSION AUTHORIZATION{trace_comment()}",
        "RESET ROLE",
        "RESET ALL",
        *home(session),
        "SET client_min_messages = notice",
        f"SET lock_timeout = {round(options.lock_timeout_s * 1000)}",
        f"SET statement_timeout = {round(options.statement_timeout_s * 1000)}",
    ]


def home(session: Session) -> list[str]:
    """SQL behind `RESET ROLE`: a temporary login role is not the one that the agent works as."""
    return [sql.load("target/home")] if session.login.startswith(TEMPORARY_LOGINS) else []


def fence(run: Run, session: Session) -> str:
    """Keeps the deploy from being undone by another worker until the open transaction ends."""
    return session.bind(sql.load("ledger/hold"), {"deploy_id": run.deploy_id})


async def send_into_transaction(run: Run, session: Session, scripts: Sequence[Script], *, fenced: bool) -> None:
    """Send files in one message, inside the transaction that is open.

    Args:
        fenced: take the fence first; once in a transaction is enough.

    Raises:
        Stop: a statement failed, or the fence is shut. The seal behind the last file is about all of them.
    """
    befores = [prelude(run, session) for _ in scripts]
    if fenced:
        befores[0].append(fence(run, session))
    parts = [
        [*before, *(piece.text for piece in script.pieces), *history_row(session, script)]
        for script, before in zip(scripts, befores, strict=True)
    ]
    parts[-1].append(seal(run, session, scripts))
    ends = list(accumulate(len(part) for part in parts))

    def owner(statement: int) -> int:
        return min(bisect_left(ends, statement), len(ends) - 1)

    try:
        async with _under_way(run, session, scripts, owner):
            await session.run_many([statement for part in parts for statement in part])
    except StatementError as error:
        statement = int(error.where.get("statement", 0))
        number = owner(statement)
        error.where["statement"] = statement - (ends[number] - len(parts[number]))
        raise Stop(blame(run, scripts[number], error, before=len(befores[number]))) from error


async def send_transactions(run: Run, session: Session, scripts: Sequence[Script]) -> tuple[int, Stop | None]:
    """Send files in one message, each in a transaction of its own.

    Returns:
        How many are committed, and why the next one was rolled back (None: all are committed).

    Raises:
        TargetError: the connection is lost, or a COMMIT did not commit; the history tells how far it came.
    """
    before = [*prelude(run, session), fence(run, session)]
    try:
        async with _under_way(run, session, scripts, lambda transaction: transaction - 1):
            await session.run_transactions(
                [[*before, *(piece.text for piece in one.pieces), *recorded(run, session, one)] for one in scripts]
            )
    except StatementError as error:
        done = int(error.where.get("transaction", 1)) - 1
        stop = Stop(blame(run, scripts[done], error, before=len(before)))
        stop.__cause__ = error
        return done, stop
    return len(scripts), None


@asynccontextmanager
async def _under_way(
    run: Run, session: Session, scripts: Sequence[Script], owner: Callable[[int], int]
) -> AsyncIterator[None]:
    """While a message runs: it is watched, its NOTICEs are heard, and it can be cancelled."""
    first = scripts[0].migration.version
    entry = run.runbook.for_version(first) if run.runbook and len(scripts) == 1 else None
    named: Attributes = {"deploy_agent.migration.version": first, "deploy_agent.migration.files": len(scripts)}
    with (
        span(run.deps, "migration", named),
        _hearing(run, session, lambda part: scripts[max(0, min(owner(part), len(scripts) - 1))].migration.version),
    ):
        async with monitoring(
            run.deps.target,
            entry.monitors if entry else (),
            version=first,
            pid=session.pid,
            purpose=run.purpose,
            emit=run.emitter.put,
            clock=run.deps.clock,
        ):
            yield


@contextmanager
def _hearing(run: Run, session: Session, version: Callable[[int], str]) -> Iterator[None]:
    """While statements of migrations run: their NOTICEs are events, and a cancel request interrupts them."""

    def heard(notice: Notice) -> None:
        run.emitter.emit(
            EventKind.NOTICE,
            notice.message,
            severity=Severity.WARNING if notice.severity == "WARNING" else Severity.INFO,
            version=version(notice.part),
            level=notice.severity,
            detail=notice.detail,
            hint=notice.hint,
        )

    session.on_notice(heard)
    run.interruptible = True
    try:
        yield
    finally:
        run.interruptible = False
        session.on_notice(None)


def recorded(run: Run, session: Session, script: Script) -> list[str]:
    """What follows a file's statements in their transaction: the history row, and the seal on it all."""
    return [*history_row(session, script), seal(run, session, [script])]


def history_row(session: Session, script: Script) -> list[str]:
    """Back to the agent's role, and the row that the Supabase CLI would write."""
    version, name = script.migration.version, script.migration.name
    row = {"version": version, "name": name, "statements": [piece.text for piece in script.pieces]}
    back = ["RESET SESSION AUTHORIZATION", "RESET ROLE", *home(session)]
    return [*back, session.bind(sql.load("history/insert"), row)]


def seal(run: Run, session: Session, scripts: Sequence[Script]) -> str:
    """Nothing that the files did has taken lock, fence or history rows away."""
    versions = [script.migration.version for script in scripts]
    named = {"deploy_id": run.deploy_id, "versions": versions, "watched": list(run.watched), "ours": list(run.ours)}
    return session.bind(sql.load("ledger/seal"), named)


def blame(run: Run, script: Script, error: StatementError, *, before: int = 0, index: int | None = None) -> Failure:
    """Name the file, line and statement that an error came from.

    Args:
        before: how many statements of our own were sent ahead of the file's.
        index: the statement's number in the file, where each was sent by itself.
    """
    number = index or int(error.where.get("statement", 0)) - before
    if error.sqlstate in FENCED:
        return failure_of(error, **place(script))
    if not 0 < number <= len(script.pieces):  # the history row, or a constraint that is checked at COMMIT
        return with_hints(run, failure_of(error, **place(script), cause="statement"))
    piece = script.pieces[number - 1]
    line = piece.line + piece.text[: error.position - 1].count("\n") if error.position else piece.code_line
    if run.cancel_reason and error.sqlstate == "57014":
        return cancelled(run.cancel_reason).model_copy(update={**place(script), "statement": number, "line": line})
    failure = failure_of(error, **place(script), cause="statement", line=line, statement=number, sql=piece.text[:2000])
    if error.sqlstate == _UNSAFE_ENUM_USE and not failure.hint:
        failure = failure.model_copy(update={"hint": _enum_hint(run)})
    return with_hints(run, failure)


def _enum_hint(run: Run) -> str:
    """What to do about an enum value that is used in the transaction that adds it; found out only by running it."""
    alone = "move ALTER TYPE … ADD VALUE to an earlier file of its own"
    if run.plan is not None and run.plan.strategy is Strategy.ATOMIC:
        return f"If another file adds the value, deploy with `--strategy per_migration`; if this one does, {alone}."
    return f"A new enum value can be used once it is committed: {alone}."


def with_hints(run: Run, failure: Failure) -> Failure:
    """Add what the runbook says about failures like this."""
    hints = run.runbook.hints_for(failure) if run.runbook else ()
    return failure.model_copy(update={"runbook_hints": hints})


def place(script: Script) -> dict[str, str]:
    """Which file, for a failure."""
    return {"version": script.migration.version, "file": script.migration.file}


def announce(run: Run, script: Script, *, others: int = 0) -> datetime:
    """Tell that a file begins; `others` are in the same message. Returns the time."""
    number, total = run.position(script.migration.version)
    span = run.plan.expected.get(script.migration.version) if run.plan else None
    message = f"applying {script.migration.file}"
    if others:
        message += f" and {others} more, in one message"
    elif span is not None:
        message += f", expected to take {span}"
    run.emitter.emit(
        EventKind.MIGRATION_STARTED,
        message,
        version=script.migration.version,
        name=script.migration.name,
        index=number,
        total=total,
        statements=len(script.pieces),
        mode=script.mode.value,
        expected=span.model_dump() if span is not None else None,
    )
    return run.deps.clock.now()


def applied(run: Run, scripts: Sequence[Script], started: datetime) -> None:
    """Tell that files are applied; of several in a message each is told its share of the time."""
    seconds = (run.deps.clock.now() - started).total_seconds() / max(1, len(scripts))
    for index, script in enumerate(scripts):
        if index:
            announce(run, script)
        number, total = run.position(script.migration.version)
        run.emitter.emit(
            EventKind.MIGRATION_FINISHED,
            f"applied {script.migration.file} in {seconds:.2f} s",
            version=script.migration.version,
            name=script.migration.name,
            index=number,
            total=total,
            seconds=seconds,
        )
