"""Batches of a restore: each is one transaction; locks are waited for, and a crash between batches can be resumed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agent import sql
from agent.core.models import EventKind, Severity
from agent.core.restore_failures import named
from agent.deploy.archive import BackupOptions
from agent.deploy.beside import beside
from agent.deploy.emitter import Emit, tell
from agent.errors import AgentError, StatementError, TargetError
from agent.ports import Clock, PgTools, Row, Session, Target

LOCKED = frozenset({"55P03", "40P01"})  # lock_not_available, deadlock_detected
_OUT_OF_LOCKS = "53200"
_UNDEFINED = frozenset({"42883", "42P01", "42704", "3F000", "42703"})  # function, table, object, schema, column
TRANSACTION_TIMEOUT_SINCE = 17
_WATCH_EVERY_S = 1.0


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One transaction: the script `before`, the entries of the archive in `listing`, the script `after`.

    `between` and the entries in `rest` come before `after`; their rows are written frozen (see `PgTools.restore`). Only
    of a batch that is not kept in a journal.
    """

    name: str
    before: str
    listing: str
    after: str
    between: str = ""
    rest: str = ""


def script(*statements: str) -> str:
    """Statements as psql reads them."""
    return "".join(f"{text};\n" for one in statements if (text := one.strip().rstrip(";")))


async def unfinished(session: Session) -> str:
    """What a restore in several transactions is called of which only some have committed; "" if there is none."""
    if not await session.value(sql.load("restore/journal_exists")):
        return ""
    name: str = await session.value(sql.load("restore/journal_of"))
    return name


@dataclass(frozen=True, kw_only=True)
class Carrying:
    """What the batches of a restore are run with, as `session_replication_role = replica`, one after the other.

    Sessions of the agent that still do something in the database are ended first. Whoever else holds a lock is waited
    for, `lock_attempts` times `lock_timeout_s`, and named.

    `archive`: folder of the archive that the listings are of. `purpose`: the sessions' name, as in `Target.connect`.
    """

    target: Target
    tools: PgTools
    archive: Path
    options: BackupOptions
    purpose: str
    clock: Clock
    emit: Emit

    async def carry_out(self, batches: Sequence[Batch], *, journal: str = "") -> None:
        """Run batches.

        Args:
            journal: what the restore is called in the database, where its batches are kept until the last has
                committed; after a crash `resume` does the rest. "": a single batch needs none.

        Raises:
            BackupError: `backup.unreadable`, `backup.connection_lost`.
            TargetError: `restore.locked`, `restore.out_of_locks`, `restore.missing_privilege`,
                `restore.server_disk_full`.
            StatementError: the database refused a statement.
                In each case the batch has changed nothing; with a journal, the ones before it have.
        """
        if not journal:
            await self._run([(batch, "") for batch in batches])
            return
        assert not any(batch.rest for batch in batches)  # noqa: S101 - the journal does not have it
        rows = [{"restore": journal, "number": number, **asdict(batch)} for number, batch in enumerate(batches, 1)]
        async with self.target.session(purpose=self.purpose) as session:
            added = [session.bind(sql.load("restore/journal_add"), row) for row in rows]
            await session.run_transaction([sql.load("restore/journal_open"), *added])
        await self.resume(journal)

    async def resume(self, journal: str) -> None:
        """Run the batches of the restore in the journal that have not committed. Raises as `carry_out`."""
        async with self.target.session(purpose=self.purpose) as session:
            rows = await session.rows(sql.load("restore/journal_left"))
            left = []
            for row in rows:
                batch = Batch(name=row["name"], before=row["before"], listing=row["listing"], after=row["after"])
                noted = session.bind(sql.load("restore/journal_done"), {"number": row["number"], "restore": journal})
                left.append((batch, noted))
        if not left:
            return
        total = rows[0]["total"]
        if len(left) < total:
            message = f"going on with the restore {journal}: {total - len(left)} of {total} parts were in"
            tell(self.emit, self.clock, EventKind.LOG, message, severity=Severity.WARNING)
        left[-1] = (left[-1][0], left[-1][1] + sql.load("restore/journal_close"))
        await self._run(left, total=total)

    async def _run(self, batches: Sequence[tuple[Batch, str]], *, total: int = 1) -> None:
        """Run batches, each with SQL that ends its transaction."""
        async with self.target.session(purpose=self.purpose) as session:
            await end_leftovers(session, self.clock, self.emit)
            begin, lock_timeout = await beginning(session, self.options)
            path: str = await session.value(sql.load("restore/default_path"))
        for number, (batch, noted) in enumerate(batches, total - len(batches) + 1):
            await self._one(batch, begin, f"{lock_timeout}\n{batch.after}\n{noted}", path, part=number > 1)
            if total > 1:
                message = f"restore: {number} of {total} parts are in"
                data: dict[str, Any] = {"what": "restore", "phase": batch.name, "done": number, "total": total}
                tell(self.emit, self.clock, EventKind.PROGRESS, message, **data)

    async def _one(self, batch: Batch, begin: str, after: str, path: str, *, part: bool) -> None:
        """Run one batch, first with no search path, as pg_restore does.

        Functions in checks, generated columns and indexes may rely on the path that the application has.
        """
        try:
            await self._attempts(batch, begin, after, "", part=part)
        except StatementError as error:
            if error.sqlstate not in _UNDEFINED:
                raise
            message = f"something in the database relies on the search path {path}: again with it ({error.message})"
            tell(self.emit, self.clock, EventKind.LOG, message, severity=Severity.WARNING)
            await self._attempts(batch, begin, after, path, part=part)

    async def _attempts(self, batch: Batch, begin: str, after: str, path: str, *, part: bool) -> None:
        before = f"{begin}\n{batch.before}"
        for attempt in range(1, self.options.lock_attempts + 1):
            blockers: list[Row] = []
            try:
                async with watching(self.target, self.purpose, self.clock, self.emit, blockers, attempt=attempt):
                    await self.tools.restore(
                        archive=self.archive,
                        listing=batch.listing,
                        before=before,
                        after=after,
                        between=batch.between,
                        rest=batch.rest,
                        freeze=bool(batch.rest),
                        search_path=path,
                    )
            except StatementError as error:
                if error.sqlstate not in LOCKED or attempt == self.options.lock_attempts:
                    raise explained(error, blockers, part=part) from error
            else:
                return


async def beginning(session: Session, options: BackupOptions) -> tuple[str, str]:
    """The first part of every transaction, and of it what pg_restore sets otherwise."""
    [facts] = await session.rows(sql.load("backup/facts"), {"schemas": []})
    newer = sql.load("restore/begin_17") if facts["server_major"] >= TRANSACTION_TIMEOUT_SINCE else ""
    lock_timeout = session.bind(sql.load("restore/lock_timeout"), {"ms": round(options.lock_timeout_s * 1000)})
    return "\n".join([sql.load("restore/begin"), newer, lock_timeout]), lock_timeout


async def end_leftovers(session: Session, clock: Clock, emit: Emit) -> None:
    """End sessions of the agent that still do something in the database."""
    for row in await session.rows(sql.load("restore/leftover_sessions")):
        gone = await session.value(sql.load("lock/terminate"), {"pid": row["pid"]})
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

    async with beside(watch()):  # the restore's own outcome counts, not its watcher's
        yield


def _who(blockers: Sequence[Row]) -> str:
    return ", ".join(f"pid {row['pid']} ({row['user']}, {row['application'] or 'unnamed'})" for row in blockers)


def explained(error: StatementError, blockers: Sequence[Row], *, part: bool = False) -> AgentError:
    """The failures of a restore that have a name; one that has none says what to do all the same.

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
    found = named(error, left=state)
    found.hint = found.hint or (
        "Put right what the message names, then restore again; what only a superuser can make, Supabase's support can. "
        f"Or restore into another database: `deploy-agent restore BACKUP --to URL`. {state}"
    )
    return found
