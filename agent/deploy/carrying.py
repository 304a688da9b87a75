"""Batches of a restore: each is one transaction; locks are waited for, and a crash between batches can be resumed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from agent import sql
from agent.core.models import EventKind, Severity
from agent.core.restore_failures import named
from agent.deploy.archive import BackupOptions
from agent.deploy.emitter import Emit, tell
from agent.errors import AgentError, StatementError, TargetError
from agent.ports import Clock, PgTools, Row, Session, Target

LOCKED = frozenset({"55P03", "40P01"})  # lock_not_available, deadlock_detected
_OUT_OF_LOCKS = "53200"
_TRANSACTION_TIMEOUT_SINCE = 17
_WATCH_EVERY_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One transaction: the script `before`, entries of the archive (`listing`, for `--use-list`), the script `after`.

    `name` is what a journal knows it by; "": it may be run again, and is not noted.
    """

    name: str
    before: str
    listing: str
    after: str


async def carry_out(
    *,
    target: Target,
    tools: PgTools,
    archive: Path,
    batches: Sequence[Batch],
    options: BackupOptions,
    purpose: str,
    clock: Clock,
    emit: Emit,
    journal: bool,
) -> None:
    """Run batches one after the other, as `session_replication_role = replica`.

    Sessions of the agent that still do something in the database are ended first. Whoever else holds a lock is waited
    for, `lock_attempts` times `lock_timeout_s`, and named.

    Args:
        archive: folder of the archive that the listings are of.
        purpose: the sessions' name, as in `Target.connect`.
        journal: each batch is noted in the database as it commits, and one that is found there is not run again. The
            names must tell the restore and the batch. The journal goes with the last batch.

    Raises:
        BackupError: `backup.unreadable`, `backup.connection_lost`.
        TargetError: `restore.locked`, `restore.out_of_locks`, `restore.missing_privilege`, `restore.server_disk_full`.
        StatementError: the database refused a statement.
            In each case the batch has changed nothing; with a journal, the ones before it have.
    """
    async with target.session(purpose=purpose) as session:
        await end_leftovers(session, clock, emit)
        begin, lock_timeout = await _begin(session, options)
        done: set[str] = set()
        if journal:
            await session.run_many([sql.load("restore/journal_open")])
            await session.run(sql.load("restore/journal_keep"), {"names": [batch.name for batch in batches]})
            done = await journaled(session)
        noted = {name: session.bind(sql.load("restore/journal_add"), {"name": name}) for name in _names(batches)}
    for number, batch in enumerate(batches, 1):
        if batch.name in done:
            continue
        after = [lock_timeout, batch.after]
        if journal:
            after.append(sql.load("restore/journal_close") if number == len(batches) else noted.get(batch.name, ""))
        for attempt in range(1, options.lock_attempts + 1):
            blockers: list[Row] = []
            try:
                async with watching(target, purpose, clock, emit, blockers, attempt=attempt):
                    await tools.restore(
                        archive=archive,
                        listing=batch.listing,
                        before=f"{begin}\n{batch.before}",
                        after="\n".join(after),
                    )
                break
            except StatementError as error:
                if error.sqlstate not in LOCKED or attempt == options.lock_attempts:
                    raise explained(error, blockers, part=journal and number > 1) from error
        if len(batches) > 1:
            message = f"restore: {number} of {len(batches)} parts are in"
            total = len(batches)
            tell(emit, clock, EventKind.PROGRESS, message, what="restore", phase="parts", done=number, total=total)


def _names(batches: Sequence[Batch]) -> Collection[str]:
    return {batch.name for batch in batches if batch.name}


async def journaled(session: Session) -> set[str]:
    """The batches of an unfinished restore that have committed."""
    if not await session.value(sql.load("restore/journal_exists")):
        return set()
    return {row["name"] for row in await session.rows(sql.load("restore/journal_names"))}


async def _begin(session: Session, options: BackupOptions) -> tuple[str, str]:
    """The first part of every transaction, and of it what pg_restore sets otherwise."""
    [facts] = await session.rows(sql.load("backup/facts"), {"schemas": []})
    newer = sql.load("restore/begin_17") if facts["server_major"] >= _TRANSACTION_TIMEOUT_SINCE else ""
    lock_timeout = session.bind(sql.load("restore/lock_timeout"), {"ms": round(options.lock_timeout_s * 1000)})
    return "\n".join([sql.load("restore/begin"), newer, lock_timeout]), lock_timeout


async def end_leftovers(session: Session, clock: Clock, emit: Emit) -> None:
    """End sessions of the agent that still do something in the database."""
    for row in await session.rows(sql.load("restore/leftover_sessions")):
        gone = await session.value(sql.load("restore/terminate"), {"pid": row["pid"]})
        message = f"ended session {row['pid']} of {row['application_name']}, which was {row['state']}"
        severity = Severity.INFO if gone else Severity.WARNING
        tell(emit, clock, EventKind.LOG, message, severity=severity, pid=row["pid"])


@asynccontextmanager
async def watching(
    target: Target, purpose: str, clock: Clock, emit: Emit, seen: list[Row], *, attempt: int
) -> AsyncIterator[None]:
    """While this lasts, tell who holds the restore up; `seen` has the latest of them."""

    async def watch() -> None:
        told: set[int] = set()
        async with target.session(purpose=purpose) as session:
            while True:
                blockers = await session.rows(sql.load("restore/blocking"))
                if blockers:
                    seen[:] = blockers
                if {row["pid"] for row in blockers} - told:
                    told |= {row["pid"] for row in blockers}
                    message = f"the restore waits for {_who(blockers)}"
                    tell(
                        emit,
                        clock,
                        EventKind.LOCK_WAIT,
                        message,
                        severity=Severity.WARNING,
                        version="",
                        attempt=attempt,
                        blockers=blockers,
                    )
                await clock.sleep(_WATCH_EVERY_S)

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)  # the restore's own outcome counts, not its watcher's


def _who(blockers: Sequence[Row]) -> str:
    return ", ".join(f"pid {row['pid']} ({row['user']}, {row['application'] or 'unnamed'})" for row in blockers)


def explained(error: StatementError, blockers: Sequence[Row], *, part: bool = False) -> AgentError:
    """The failures of a restore that have a name.

    Args:
        part: batches before it have committed.
    """
    state = "It goes on where it stopped when it is run again." if part else "Nothing was changed."
    if error.sqlstate in LOCKED:
        who = f": held by {_who(blockers)}" if blockers else ""
        return TargetError(
            f"the restore could not get a lock{who} ({error.message})",
            code="restore.locked",
            hint=f"Stop the application, or end those sessions with pg_terminate_backend, then restore again. {state}",
        )
    if error.sqlstate == _OUT_OF_LOCKS:
        return TargetError(
            f"the restore needs more locks than the server has room for ({error.message})",
            code="restore.out_of_locks",
            hint="Raise max_locks_per_transaction (it needs a restart of the server), then restore again. " + state,
        )
    return named(error)
