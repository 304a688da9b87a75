"""Rows that are written after the salvage was read, until a restore has its locks.

The restore's own transaction notes them in the database, so that they are committed with what it takes away; then they
are written to a salvage of their own. Whoever finds such notes later does that.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby

from agent import sql
from agent.core import salvage as core
from agent.core.backups import prefix
from agent.core.models import EventKind, Severity
from agent.core.salvage import Salvage, SalvagedTable
from agent.deploy.archive import BackupOptions
from agent.deploy.carrying import unfinished
from agent.deploy.emitter import Emit, tell
from agent.deploy.salvage import publish, salvaged_table, tell_kept
from agent.errors import AgentError
from agent.ports import Clock, ObjectStore, Row, Session

# The deploy has ended before the salvage is read: what is later is not its own.
_NOT_THE_DEPLOYS: Row = {
    "own": "{}",
    "unsure": "{}",
    "noted": "{}",
    "restored": "{}",
    "began": None,
    "replaced": False,
    "rewritten": False,
}


@dataclass(frozen=True, kw_only=True)
class Guard:
    """What a restore is told so that it loses no row.

    `salvage`: what the salvage's id will begin with. `until`: the snapshot up to which rows are kept otherwise.
    `running`: the transaction ids that were under way in it, also those of subtransactions; None: not known. Then rows
    that the first salvage has, too, may be kept once more, as unclear.
    """

    salvage: str
    deploy_id: str
    backup_id: str
    until: str
    running: tuple[int, ...] | None = None

    def script(self, session: Session, tables: Iterable[int]) -> str:
        """SQL that locks tables, before the restore empties them, and notes what was written since.

        Args:
            session: for the values.
            tables: their OIDs; those that are no more are left out, those that inherit from them go along.

        Returns:
            "" if there is no table.
        """
        if not (ids := sorted(tables)):
            return ""
        since = core.visible(self.until)
        running = list(since.running if self.running is None else self.running)
        limits = {"low": since.low, "high": since.high, "running": running, "complete": self.running is not None}
        values = {**_NOT_THE_DEPLOYS, **limits}
        rows, others = (
            session.bind(sql.load(f"salvage/{name}").replace("%(next)s::bigint", "$1"), values)
            for name in ("rows", "others")
        )
        asked = {
            "tables": ids,
            "rows": rows.replace("{table}", "%1$s").replace("{columns}", "%2$s"),
            "others": others,
            "salvage": self.salvage,
            "deploy_id": self.deploy_id,
            "backup_id": self.backup_id,
        }
        late = session.bind(sql.load("salvage/late"), asked)
        return f"{sql.load('salvage/settings')};\n{late};\n{sql.load('salvage/late_reset')}"


async def guard_from_here(session: Session, *, salvage: str, deploy_id: str, backup_id: str) -> Guard:
    """A guard for what is written after the snapshot of the REPEATABLE READ transaction that is open."""
    [now] = await session.rows(sql.load("salvage/now_under_way"))
    running = tuple(now["ids"]) if now["complete"] else None
    return Guard(salvage=salvage, deploy_id=deploy_id, backup_id=backup_id, until=now["until"], running=running)


async def keep_late(
    session: Session, *, objects: ObjectStore, options: BackupOptions, project: str, clock: Clock, emit: Emit
) -> None:
    """Write rows that a restore has noted to a salvage, and take the notes away.

    While a restore in several transactions is unfinished they stay: there may be more.

    Args:
        session: outside a transaction, under the deploy lock.

    Raises:
        BackupError: as `take_salvage`; the notes are still there.
    """

    async def keep(name: str, noted: list[Row]) -> None:
        salvage = Salvage(
            id=f"{name}{secrets.token_hex(1)}",  # what a dead worker has left half-way is in nobody's way
            project=project,
            deploy_id=noted[-1]["deploy_id"],
            backup_id=noted[-1]["backup_id"],
            at=clock.now(),
            tables=tuple(salvaged_table(row, number) for number, row in enumerate(noted, start=1)),
            location="",
            until=noted[-1]["until"],
        )
        if kept := await _kept(session, objects, options, name, salvage):
            tell_kept(emit, clock, kept, "written after the salvage was read and before the restore had its locks")

    if not await session.value(sql.load("salvage/late_exists")) or await unfinished(session):
        return
    try:
        async with session.transaction(read_only=True, repeatable=True):
            noted = await session.rows(sql.load("salvage/late_tables"))
            for name, tables in groupby(noted, key=lambda row: str(row["salvage"])):
                await keep(name, list(tables))
    except AgentError as error:
        message = (
            "rows that were written before the restore had its locks are not in a salvage yet; they are in "
            f"supabase_migrations.deploy_agent_late, and the next restore writes them to one: {error.message}"
        )
        tell(emit, clock, EventKind.LOG, message, severity=Severity.WARNING)
        raise
    async with session.transaction():
        await session.run(sql.load("salvage/late_close"))


async def _kept(
    session: Session, objects: ObjectStore, options: BackupOptions, name: str, salvage: Salvage
) -> Salvage | None:
    """Write one; None: a worker that ended before it took the notes away has done it."""
    there = core.manifests(await objects.keys(prefix(salvage.project, salvage.backup_id)))
    if any(core.id_of(key).startswith(name) for key in there):
        return None
    queries = [[_rows(session, name, one)] for one in salvage.tables]
    return await publish([session], objects, options, salvage, queries)


def _rows(session: Session, salvage: str, table: SalvagedTable) -> str:
    columns = "".join(f", line[{number}]" for number, _ in enumerate(table.columns, start=1))
    asked = {"salvage": salvage, "name": table.table, "columns": list(table.columns)}
    return session.bind(sql.load("salvage/late_rows"), asked).replace("{columns}", columns)
