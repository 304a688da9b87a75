"""Applying the pending migrations: in one transaction, in one a file, or statement by statement."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime, timedelta

from agent import sql
from agent.core.batches import Pace, may_be_sent_together
from agent.core.checks import Check
from agent.core.models import CheckResult, EventKind, Failure, RunMode, Severity, Strategy, Verdict
from agent.core.statements import Script
from agent.deploy.checks import run_checks
from agent.deploy.deps import Run, Stop, failure_of
from agent.deploy.sending import (
    SEALED,
    announce,
    applied,
    blame,
    fence,
    place,
    prelude,
    recorded,
    send_into_transaction,
    send_transactions,
    with_hints,
)
from agent.deploy.snapshot import application_schemas
from agent.errors import StatementError, TargetError
from agent.ports import Session

# lock_not_available, deadlock_detected, serialization_failure: the transaction is gone whole, so it may be tried again
# (PostgreSQL documentation, appendix A, and "Serialization Failure Handling").
RETRYABLE = frozenset({"55P03", "40P01", "40001"})

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
    there = {row["version"] for row in await session.rows(sql.load("history/list_versions"))}
    scripts = [script for script in run.plan.scripts if script.migration.version not in there]
    if run.plan.strategy is not Strategy.ATOMIC:
        await _one_after_the_other(run, scripts)
    elif scripts:
        await _all_or_nothing(run, scripts)


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


async def _all_or_nothing(run: Run, scripts: Sequence[Script]) -> None:
    """All files, their history rows and the final checks in one transaction."""
    pace = Pace()

    async def body() -> None:
        session = await run.session()
        async with session.transaction():
            for batch in _batches(run, scripts, pace):
                run.check_cancelled()
                started = announce(run, batch[0], others=len(batch) - 1)
                try:
                    await send_into_transaction(run, session, batch, fenced=batch[0] is scripts[0])
                except Stop as stop:
                    if stop.failure.sqlstate == SEALED and len(batch) > 1:
                        raise _OneOfThem from stop
                    versions = [one.migration.version for one in batch]
                    _tell_how_far(run, batch, versions.index(stop.failure.version), started)
                    raise
                pace.took((run.deps.clock.now() - started).total_seconds())
                checks = _checks_inside(run, batch[-1])
                await check(run, session, checks, phase=f"migration:{batch[-1].migration.version}")
                applied(run, batch, started)
            await check(run, session, transactional(run.runbook.checks if run.runbook else ()), phase="final")
            run.check_cancelled()  # the last look: after it only the COMMIT follows

    try:
        await _committed(run, body, scripts[-1])
    except _OneOfThem:  # all is rolled back; once more, file by file, to find out which
        pace = Pace(most=1)
        await _committed(run, body, scripts[-1])


class _OneOfThem(Exception):  # noqa: N818 - it asks for another try
    """Something that one of the files did, which were sent together."""


async def _one_after_the_other(run: Run, scripts: Sequence[Script]) -> None:
    """Each file by itself, in a transaction where it can be."""
    pace = Pace()
    for batch in _batches(run, scripts, pace):
        run.check_cancelled()
        if batch[0].mode is not RunMode.TRANSACTION:
            await _singly(run, batch[0])
        elif len(batch) == 1:
            started = run.deps.clock.now()
            await _one_transaction(run, batch[0])
            pace.took((run.deps.clock.now() - started).total_seconds())
        else:
            await _several_transactions(run, batch, pace)
        if _changes_session(batch[-1]):  # before the next BEGIN: it may be how transactions begin
            await (await run.session()).run_many(prelude(run))


def _batches(run: Run, scripts: Sequence[Script], pace: Pace) -> Iterator[Sequence[Script]]:
    """Files that can be sent together, as many as `pace` says when they are asked for."""
    assert run.before is not None  # noqa: S101 - recalled
    data = sum(mark.bytes for mark in run.before.tables.values())
    alone = [
        _changes_session(one) or _is_watched(run, one) or not may_be_sent_together(one, table_bytes=data)
        for one in scripts
    ]
    at = 0
    while at < len(scripts):
        end = at + 1
        while not alone[at] and end < min(at + pace.files, len(scripts)) and not alone[end]:
            end += 1
        yield scripts[at:end]
        at = end


def _changes_session(script: Script) -> bool:
    return any(fact.sets_session for fact in script.facts)


def _is_watched(run: Run, script: Script) -> bool:
    """Whether something is to be looked at while the file runs, or behind it."""
    entry = run.runbook.for_version(script.migration.version) if run.runbook else None
    return entry is not None and bool(entry.monitors or entry.checks)


async def _several_transactions(run: Run, batch: Sequence[Script], pace: Pace) -> None:
    """Files in one message, each with its history row in a transaction of its own."""
    session = await run.session()
    started = announce(run, batch[0], others=len(batch) - 1)
    stop: Stop | None
    try:
        done, stop = await send_transactions(run, session, batch)
    except TargetError as error:
        await run.drop_session()
        done = await _landed(run, batch)
        stop = None if done == len(batch) else Stop(failure_of(error, **place(batch[done])))
    pace.took((run.deps.clock.now() - started).total_seconds())
    if stop is None:
        applied(run, batch, started)
        return
    _tell_how_far(run, batch, done, started)
    if stop.failure.sqlstate not in RETRYABLE:
        raise stop
    for script in batch[done:]:  # the one that a lock was in the way of has its attempts by itself
        run.check_cancelled()
        await _one_transaction(run, script)


def _tell_how_far(run: Run, batch: Sequence[Script], done: int, started: datetime) -> None:
    """Of files that were sent together, so many are applied, and the next one failed."""
    if done:
        applied(run, batch[:done], started)
        announce(run, batch[done])


async def _one_transaction(run: Run, script: Script) -> None:
    """One file, its history row and its checks in one transaction; without checks, in one round trip."""
    checks = _checks_inside(run, script)

    async def body() -> None:
        session = await run.session()
        started = announce(run, script)
        if checks:
            async with session.transaction():
                await send_into_transaction(run, session, [script], fenced=True)
                await check(run, session, checks, phase=f"migration:{script.migration.version}")
                run.check_cancelled()
        else:
            _, stop = await send_transactions(run, session, [script])
            if stop is not None:
                raise stop
        applied(run, [script], started)

    await _committed(run, body, script)


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
            if error.code == "target.connection_lost" and await _landed(run, [script]):
                return
            raise Stop(failure_of(error, **place(script))) from error
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
    until = run.deps.clock.now() + timedelta(seconds=seconds)
    while (left := (until - run.deps.clock.now()).total_seconds()) > 0:
        run.check_cancelled()
        await run.deps.clock.sleep(min(left, options.poll_s))


async def _landed(run: Run, scripts: Sequence[Script]) -> int:
    """How many of the files are committed whose answer never came: ask the history on a new connection."""
    session = await run.session()  # ends the old backend first, if it still lives
    versions = {row["version"] for row in await session.rows(sql.load("history/list_versions"))}
    landed = [one for one in scripts if one.migration.version in versions]
    has = "has" if len(landed) == len(scripts) else "does not have"
    run.emitter.emit(
        EventKind.LOG,
        f"the connection was lost; the history {has} version {scripts[-1].migration.version}",
        severity=Severity.WARNING,
    )
    return len(landed)


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
    started = announce(run, script)
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
    await session.run_transaction([fence(run, session), *recorded(run, session, script)])
    applied(run, [script], started)


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
        raise Stop(failure_of(error, statement=index, **place(script))) from error
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
