"""Applying the pending migrations: in one transaction, in one a file, or statement by statement."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import datetime

from agent import sql
from agent.core.batches import Pace, may_be_sent_together
from agent.core.models import EventKind, Failure, RunMode, Severity, Strategy
from agent.core.scripts import Script
from agent.deploy.checking import after_commit, check, checks_inside, transactional
from agent.deploy.deps import Run, Stop, failure_of
from agent.deploy.moment import note_moment
from agent.deploy.sending import (
    SEALED,
    announce,
    applied,
    place,
    prelude,
    send_into_transaction,
    send_transactions,
)
from agent.deploy.singly import SINGLY, run_singly
from agent.deploy.snapshot import application_schemas
from agent.errors import TargetError
from agent.ports import Session

__all__ = ["RETRYABLE", "SINGLY", "after_commit", "check", "migrate", "transactional"]

# lock_not_available, deadlock_detected, serialization_failure: the transaction is gone whole, so it may be tried again
# (PostgreSQL documentation, appendix A, and "Serialization Failure Handling").
RETRYABLE = frozenset({"55P03", "40P01", "40001"})


async def migrate(run: Run) -> None:
    """Apply what the plan names and the history does not have yet.

    Raises:
        Stop: something failed; what was open is rolled back, what had committed is for the ladder.
    """
    assert run.plan is not None  # noqa: S101 - preflight has set it
    session = await run.session()
    await _prepare(run, session)
    await note_moment(run, session)
    there = {row["version"] for row in await session.rows(sql.load("history/list_versions"))}
    scripts = [script for script in run.plan.scripts if script.migration.version not in there]
    if run.plan.strategy is not Strategy.ATOMIC:
        await _one_after_the_other(run, scripts)
    elif scripts:
        await _all_or_nothing(run, scripts)


async def _prepare(run: Run, session: Session) -> None:
    """The history table, the fence and the ledger."""
    columns = {row["name"] for row in await session.rows(sql.load("history/shape"))}
    complete = {"version", "name", "statements"} <= columns
    if not complete and not await session.value(sql.load("history/schema_exists")):
        await run.deps.store.put_evidence(run.deploy_id, "created_history", "true")
    async with session.transaction():  # only one, whose id is noted: the salvage tells others' transactions from it
        await session.run(sql.load("ledger/quiet"))
        if not complete:
            await session.run(sql.load("history/create"))
        await session.run(sql.load("ledger/open"))
        await session.run(sql.load("ledger/functions"))
        await session.run(sql.load("ledger/enter"), {"deploy_id": run.deploy_id})
        schemas = {"schemas": list(await application_schemas(session, run.deps.options.schemas))}
        await session.run(sql.load("ledger/note_relations"), schemas)
    run.watched = tuple(row["oid"] for row in await session.rows(sql.load("ledger/watched"), schemas))
    run.ours = tuple(row["oid"] for row in await session.rows(sql.load("ledger/ours")))


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
                checks = checks_inside(run, batch[-1])
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
            await run_singly(run, batch[0])
        elif len(batch) == 1:
            started = run.deps.clock.now()
            await _one_transaction(run, batch[0])
            pace.took((run.deps.clock.now() - started).total_seconds())
        else:
            await _several_transactions(run, batch, pace)
        if _changes_session(batch[-1]):  # before the next BEGIN: it may be how transactions begin
            session = await run.session()
            await session.run_many(prelude(run, session))


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
    checks = checks_inside(run, script)

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
    await run.pause(seconds)


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
