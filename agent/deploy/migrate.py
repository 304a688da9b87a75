"""Applying the pending migrations: in one transaction, in one a file, or statement by statement."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime

from agent import sql
from agent.core.checks import Check
from agent.core.models import CheckResult, EventKind, Failure, RunMode, Severity, Strategy, Verdict
from agent.core.statements import Script
from agent.deploy.checks import run_checks
from agent.deploy.deps import Run, Stop, cancelled, failure_of
from agent.deploy.monitors import monitoring
from agent.deploy.snapshot import application_schemas
from agent.errors import StatementError, TargetError
from agent.ports import Notice, Session

# lock_not_available, deadlock_detected, serialization_failure: the transaction is gone whole, so it may be tried again
# (PostgreSQL documentation, appendix A, and "Serialization Failure Handling").
RETRYABLE = frozenset({"55P03", "40P01", "40001"})
FENCED = frozenset({"DA001", "DA002"})  # raised by sql/ledger/hold.sql and sql/ledger/seal.sql

SINGLY = "singly"
"""Evidence that a file was begun which runs statement by statement: what of it has committed is in doubt."""

_WRITES = frozenset({"INSERT", "UPDATE", "DELETE", "MERGE", "SELECT", "DO", "EXECUTE", "ALTER ROLE", "ALTER USER"})


async def migrate(run: Run) -> None:
    """Apply what the plan names and the history does not have yet.

    Raises:
        Stop: something failed; what was open is rolled back, what had committed is for the ladder.
    """
    assert run.plan is not None  # noqa: S101 - preflight has set it
    session = await run.session()
    await _prepare(run, session)
    applied = {row["version"] for row in await session.rows(sql.load("history/list_versions"))}
    scripts = [script for script in run.plan.scripts if script.migration.version not in applied]
    if run.plan.strategy is Strategy.ATOMIC:
        await _all_or_nothing(run, scripts)
        return
    for script in scripts:
        run.check_cancelled()
        if script.mode is RunMode.TRANSACTION:
            await _one_transaction(run, script)
        else:
            await _singly(run, script)
        if any(fact.sets_session for fact in script.facts):  # before the next BEGIN: it may be how transactions begin
            await (await run.session()).run_many(prelude(run))


async def _prepare(run: Run, session: Session) -> None:
    """The history table, the fence and the ledger."""
    columns = {row["name"] for row in await session.rows(sql.load("history/shape"))}
    if not {"version", "name", "statements"} <= columns:
        if not await session.value(sql.load("history/schema_exists")):
            await run.deps.store.put_evidence(run.deploy_id, "created_history", "true")
        async with session.transaction():
            await session.run(sql.load("history/create"))
    async with session.transaction():
        await session.run(sql.load("ledger/open"))
        await session.run(sql.load("ledger/enter"), {"deploy_id": run.deploy_id})
    schemas = await application_schemas(session, run.deps.options.schemas)
    run.watched = tuple(
        row["oid"] for row in await session.rows(sql.load("ledger/watched"), {"schemas": list(schemas)})
    )


def prelude(run: Run) -> list[str]:
    """What is sent before each file: no setting or role of an earlier file reaches a later one."""
    options = run.deps.options
    return [
        "RESET SESSION AUTHORIZATION",
        "RESET ROLE",
        "RESET ALL",
        "SET client_min_messages = notice",
        f"SET lock_timeout = {round(options.lock_timeout_s * 1000)}",
        f"SET statement_timeout = {round(options.statement_timeout_s * 1000)}",
    ]


async def _all_or_nothing(run: Run, scripts: Sequence[Script]) -> None:
    """All files, their history rows and the final checks in one transaction."""

    async def body() -> None:
        session = await run.session()
        async with session.transaction():
            for script in scripts:
                run.check_cancelled()
                started = _announce(run, script)
                await _run_file(run, session, script, session.run_many)
                await check(run, session, _checks_inside(run, script), phase=f"migration:{script.migration.version}")
                _applied(run, script, started)
            await check(run, session, transactional(run.runbook.checks if run.runbook else ()), phase="final")
            run.check_cancelled()  # the last look: after it only the COMMIT follows

    await _committed(run, body, scripts[-1])


async def _one_transaction(run: Run, script: Script) -> None:
    """One file, its history row and its checks in one transaction; without checks, in one round trip."""
    checks = _checks_inside(run, script)

    async def body() -> None:
        session = await run.session()
        started = _announce(run, script)
        if checks:
            async with session.transaction():
                await _run_file(run, session, script, session.run_many)
                await check(run, session, checks, phase=f"migration:{script.migration.version}")
                run.check_cancelled()
        else:
            await _run_file(run, session, script, session.run_transaction)
        _applied(run, script, started)

    await _committed(run, body, script)


async def _run_file(
    run: Run, session: Session, script: Script, send: Callable[[Sequence[str]], Awaitable[None]]
) -> None:
    """Send a file in one message: a clean session, the fence, the statements, the history row.

    Raises:
        Stop: a statement failed, or the fence is shut.
    """
    version = script.migration.version
    entry = run.runbook.for_version(version) if run.runbook else None
    before = [*prelude(run), session.bind(sql.load("ledger/hold"), {"deploy_id": run.deploy_id})]
    statements = [*before, *(piece.text for piece in script.pieces), *_recorded(run, session, script)]
    with _hearing(run, session, version):
        try:
            async with monitoring(
                run.deps.target,
                entry.monitors if entry else (),
                version=version,
                pid=session.pid,
                purpose=run.purpose,
                emit=run.emitter.put,
                clock=run.deps.clock,
            ):
                await send(statements)
        except StatementError as error:
            raise Stop(blame(run, script, error, before=len(before))) from error


@contextmanager
def _hearing(run: Run, session: Session, version: str) -> Iterator[None]:
    """While statements of a migration run: its NOTICEs are events, and a cancel request interrupts it."""

    def heard(notice: Notice) -> None:
        run.emitter.emit(
            EventKind.NOTICE,
            notice.message,
            severity=Severity.WARNING if notice.severity == "WARNING" else Severity.INFO,
            version=version,
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


def _recorded(run: Run, session: Session, script: Script) -> list[str]:
    """What follows a file's statements in their transaction: the history row, and the seal on it all."""
    version, name = script.migration.version, script.migration.name
    row = {"version": version, "name": name, "statements": [piece.text for piece in script.pieces]}
    seal = {"deploy_id": run.deploy_id, "version": version, "watched": list(run.watched)}
    return [
        "RESET SESSION AUTHORIZATION",
        "RESET ROLE",
        session.bind(sql.load("history/insert"), row),
        session.bind(sql.load("ledger/seal"), seal),
    ]


def _checks_inside(run: Run, script: Script) -> list[Check]:
    """The migration's own checks that see what is not committed yet."""
    entry = run.runbook.for_version(script.migration.version) if run.runbook else None
    return transactional(entry.checks if entry else ())


async def _committed(run: Run, body: Callable[[], Awaitable[None]], script: Script) -> None:
    """Run a transaction: again when a lock was not to be had, and probed when its COMMIT is in doubt.

    Raises:
        Stop: it failed; nothing of it remains.
    """
    options, version = run.deps.options, script.migration.version
    for attempt in range(1, options.lock_attempts + 1):
        try:
            await body()
        except Stop as stop:
            if stop.failure.sqlstate not in RETRYABLE or attempt == options.lock_attempts:
                raise
            await _wait_for_lock(run, version, attempt, stop.failure)
        except TargetError as error:
            await run.drop_session()
            if error.code == "target.connection_lost" and await _landed(run, version):
                return
            raise Stop(failure_of(error, **_place(script))) from error
        else:
            return


async def _wait_for_lock(run: Run, version: str, attempt: int, failure: Failure) -> None:
    options = run.deps.options
    seconds = min(30.0, 2.0 ** (attempt - 1)) * (0.5 + run.deps.jitter())
    run.emitter.emit(
        EventKind.LOCK_WAIT,
        f"{failure.message}; rolled back, attempt {attempt + 1} of {options.lock_attempts} in {seconds:.1f} s",
        severity=Severity.WARNING,
        version=version,
        attempt=attempt,
        blockers=[],
    )
    await run.deps.clock.sleep(seconds)


async def _landed(run: Run, version: str) -> bool:
    """Whether a COMMIT that was never answered happened: ask the history on a new connection."""
    session = await run.session()  # ends the old backend first, if it still lives
    landed = version in {row["version"] for row in await session.rows(sql.load("history/list_versions"))}
    run.emitter.emit(
        EventKind.LOG,
        f"the connection was lost; the history {'has' if landed else 'does not have'} version {version}",
        severity=Severity.WARNING,
    )
    return landed


async def _singly(run: Run, script: Script) -> None:
    """A file that cannot run in one transaction of ours: each statement is noted before and after.

    Raises:
        Stop: a statement failed, or an earlier worker was cut off in the middle: never called clean.
    """
    session = await run.session()
    version = script.migration.version
    seen = [
        row
        for row in await session.rows(sql.load("ledger/statements"), {"deploy_id": run.deploy_id})
        if row["version"] == version
    ]
    if seen:
        raise Stop(
            Failure(
                cause="agent",
                code="migrate.interrupted",
                message=f"an earlier worker was cut off in {script.migration.file}, statement {seen[-1]['statement']} "
                f"of {len(script.pieces)}; what it did is in doubt",
                version=version,
                file=script.migration.file,
            )
        )
    started = _announce(run, script)
    await run.deps.store.put_evidence(run.deploy_id, SINGLY, version)
    await session.run_many(prelude(run))
    async with run.deps.target.session(purpose=run.purpose) as ledger:
        await ledger.run_many(prelude(run))  # the file itself may hold a lock that the ledger needs
        await ledger.run(sql.load("ledger/start_file"), {"deploy_id": run.deploy_id, "version": version})
        for index in range(1, len(script.pieces) + 1):
            run.check_cancelled()
            await _one_statement(run, ledger, script, index)
    if await session.in_transaction():
        await session.run("ROLLBACK")
        raise Stop(
            Failure(
                cause="statement",
                code="migrate.transaction_left_open",
                message=f"{script.migration.file} ends inside a transaction that it opened; rolled back",
                hint="End the file with COMMIT.",
                version=version,
                file=script.migration.file,
            )
        )
    await session.run_many(prelude(run))
    await check(run, session, _checks_inside(run, script), phase=f"migration:{version}")
    held = session.bind(sql.load("ledger/hold"), {"deploy_id": run.deploy_id})
    await session.run_transaction([held, *_recorded(run, session, script)])
    _applied(run, script, started)


async def _one_statement(run: Run, ledger: Session, script: Script, index: int) -> None:
    session = await run.session()
    piece = script.pieces[index - 1]
    key = {"deploy_id": run.deploy_id, "version": script.migration.version, "statement": index}
    await ledger.run(sql.load("ledger/start_statement"), key)
    began = run.deps.clock.now()
    run.interruptible = True
    try:
        written = await _send_alone(run, session, script, index)
    except StatementError as error:
        if await session.in_transaction():
            await session.run("ROLLBACK")
        raise Stop(blame(run, script, error, index=index)) from error
    except TargetError as error:
        await run.drop_session()
        raise Stop(failure_of(error, statement=index, **_place(script))) from error
    finally:
        run.interruptible = False
    if written:
        await ledger.run(sql.load("ledger/wrote_outside"), {**key, "names": written})
    await ledger.run(sql.load("ledger/finish_statement"), key)
    fact = script.facts[index - 1]
    run.emitter.emit(
        EventKind.STATEMENT,
        f"{fact.tag} ({index} of {len(script.pieces)})",
        version=script.migration.version,
        index=index,
        total=len(script.pieces),
        line=piece.code_line,
        tag=fact.tag,
        seconds=(run.deps.clock.now() - began).total_seconds(),
    )


async def _send_alone(run: Run, session: Session, script: Script, index: int) -> list[str]:
    """Run one statement by itself; the tables outside the backup that it wrote to.

    The counters are gone once it has committed, so they are read in the same message, which makes one transaction of
    the two. Only where that changes nothing: not for what may end a transaction or must not be in one.
    """
    text, fact = script.pieces[index - 1].text, script.facts[index - 1]
    calls = fact.tag == "DO" and "CALL" in text.upper()
    if fact.tag not in _WRITES or fact.control or fact.runs_alone or calls:
        await session.run(text)
        return []
    question = session.bind(sql.load("ledger/written"), {"watched": list(run.watched)})
    return [row["name"] for row in await session.rows(f"{text}\n;\n{question}")]


async def check(run: Run, session: Session, checks: Sequence[Check], *, phase: str) -> list[CheckResult]:
    """Run checks, record their verdicts, and stop at a bad one.

    Raises:
        Stop: a check of severity `error` failed, or could not run.
    """
    if not checks:
        return []
    run.interruptible = True
    try:
        results = await run_checks(
            session,
            checks,
            phase=phase,
            before=run.before.values if run.before else {},
            clock=run.deps.clock,
            http=run.deps.http,
            emit=run.emitter.put,
            snapshot=run.runbook.snapshot if run.runbook else (),
            may_wait=await session.in_transaction(),
        )
    finally:
        run.interruptible = False
    run.check_cancelled()
    bad = [one for one in results if one.verdict is not Verdict.PASSED and one.severity is Severity.ERROR]
    if bad:
        raise Stop(failed_check(run, bad))
    return results


def failed_check(run: Run, bad: Sequence[CheckResult]) -> Failure:
    """The failure that the first bad check stands for."""
    first = bad[0]
    more = f" ({len(bad) - 1} more failed)" if len(bad) > 1 else ""
    verb = "failed" if first.verdict is Verdict.FAILED else "could not run"
    failure = Failure(
        cause="check",
        code=f"check.{first.verdict}",
        message=f"check {first.title!r} {verb}: expected {first.expected}, observed {first.observed}{more}",
        hint=first.hint,
        check=first.id,
        version=first.phase.partition(":")[2],
    )
    return with_hints(run, failure)


def after_commit(checks: Sequence[Check]) -> list[Check]:
    """The checks that say more once all is committed: those that ask over HTTP, and query plans.

    A new index on rows that the same transaction has changed cannot be used before COMMIT
    (https://www.postgresql.org/docs/current/storage-hot.html, `indcheckxmin`).
    """
    return [one for one in checks if one.needs_commit or one.performance is not None]


def transactional(checks: Sequence[Check]) -> list[Check]:
    """The checks that see what is not committed yet: all but those that ask over HTTP."""
    return [one for one in checks if not one.needs_commit]


def blame(run: Run, script: Script, error: StatementError, *, before: int = 0, index: int | None = None) -> Failure:
    """Name the file, line and statement that an error came from.

    Args:
        before: how many statements of our own were sent ahead of the file's.
        index: the statement's number in the file, where each was sent by itself.
    """
    number = index or int(error.where.get("statement", 0)) - before
    if error.sqlstate in FENCED:
        return failure_of(error, **_place(script))
    if not 0 < number <= len(script.pieces):  # the history row, or a constraint that is checked at COMMIT
        return with_hints(run, failure_of(error, **_place(script), cause="statement"))
    piece = script.pieces[number - 1]
    line = piece.line + piece.text[: error.position - 1].count("\n") if error.position else piece.code_line
    if run.cancel_reason and error.sqlstate == "57014":
        return cancelled(run.cancel_reason).model_copy(update={**_place(script), "statement": number, "line": line})
    failure = failure_of(error, **_place(script), cause="statement", line=line, statement=number, sql=piece.text[:2000])
    return with_hints(run, failure)


def with_hints(run: Run, failure: Failure) -> Failure:
    """Add what the runbook says about failures like this."""
    hints = run.runbook.hints_for(failure) if run.runbook else ()
    return failure.model_copy(update={"runbook_hints": hints})


def _place(script: Script) -> dict[str, str]:
    return {"version": script.migration.version, "file": script.migration.file}


def _announce(run: Run, script: Script) -> datetime:
    number, total = run.position(script.migration.version)
    run.emitter.emit(
        EventKind.MIGRATION_STARTED,
        f"applying {script.migration.file}",
        version=script.migration.version,
        name=script.migration.name,
        index=number,
        total=total,
        statements=len(script.pieces),
        mode=script.mode.value,
    )
    return run.deps.clock.now()


def _applied(run: Run, script: Script, started: datetime) -> None:
    number, total = run.position(script.migration.version)
    seconds = (run.deps.clock.now() - started).total_seconds()
    run.emitter.emit(
        EventKind.MIGRATION_FINISHED,
        f"applied {script.migration.file} in {seconds:.2f} s",
        version=script.migration.version,
        name=script.migration.name,
        index=number,
        total=total,
        seconds=seconds,
    )
