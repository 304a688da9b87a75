"""Loading tables ahead of a full restore: in several sessions, while the application goes on with what there is.

Nothing that the application sees changes. Whatever goes wrong here but for a full disk and a lost connection only means
that the restore's own transaction makes those tables itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from agent import sql
from agent.core import ahead as core
from agent.core.archive_list import Entry, as_listing
from agent.core.models import EventKind, Severity
from agent.core.restore_failures import named
from agent.core.units import count
from agent.deploy.beside import together
from agent.deploy.carrying import Carrying, beginning
from agent.deploy.emitter import tell
from agent.errors import StatementError
from agent.ports import Session

_DISK_FULL = "53100"


@asynccontextmanager
async def loaded_ahead(
    order: Sequence[Entry], *, session: Session, carrying: Carrying, names: Mapping[int, str]
) -> AsyncIterator[list[core.Table]]:
    """Load the tables of a restore that are worth it and fit for it; those that were not moved are gone at the end.

    Args:
        order: the entries of the archive that the restore is of.
        session: outside a transaction.
        carrying: what the restore is run with.
        names: qualified names of tables, by the OIDs that they had.

    Raises:
        TargetError: `restore.server_disk_full`; the connection was lost.
    """
    await _remove(session)
    tables = await _chosen(order, session, carrying, names)
    try:
        yield tables if tables and await _loaded(tables, session, carrying) else []
    finally:
        if tables:
            await _remove(session)


def move(table: core.Table) -> str:
    """SQL that brings a table to its place."""
    text = sql.load("restore/ahead_move")
    for word, value in table.places.items():
        text = text.replace(f"{{{word}}}", value)
    return text


async def _remove(session: Session) -> None:
    for row in await session.rows(sql.load("restore/ahead_left")):
        await session.run(row["statement"])


async def _chosen(
    order: Sequence[Entry], session: Session, carrying: Carrying, names: Mapping[int, str]
) -> list[core.Table]:
    least = carrying.options.ahead_bytes
    [how] = await session.rows(sql.load("restore/ahead_fit"))
    if least is None or not how["fit"]:
        return []
    sizes = await asyncio.to_thread(_sizes, carrying.archive)
    if not core.worth(order, sizes, least=least):
        return []
    text = await carrying.tools.script(carrying.archive, as_listing(one for one in order if one.desc in core.KINDS))
    return core.chosen(order, core.scripts(text), names, sizes, role=how["role"], least=least)


def _sizes(archive: Path) -> dict[int, int]:
    """Bytes of each file with rows, by dump id: pg_dump names them so."""
    return {
        int(number): file.stat().st_size
        for file in archive.iterdir()
        if (number := file.name.partition(".")[0]).isdigit()
    }


async def _loaded(tables: Sequence[core.Table], session: Session, carrying: Carrying) -> bool:
    """All of it; False: it cannot be done, and nothing of it counts."""
    begin, _ = await beginning(session, carrying.options)
    share = session.bind(sql.load("restore/ahead_begin"), {"jobs": carrying.options.jobs})
    loading = _Loading(
        carrying=carrying,
        begin=f"{begin}\n{share}",
        free=asyncio.Semaphore(carrying.options.jobs),
        there={one.entry.dump_id: asyncio.Event() for one in tables},
    )
    began = carrying.clock.now()
    try:
        await session.run_transaction([loading.begin, *(text for one in tables for text in one.make)])
        await loading.run(tables)
    except StatementError as error:
        if error.sqlstate == _DISK_FULL:
            raise named(error, left="Nothing was changed.") from error
        message = f"tables could not be loaded ahead, so the restore makes them itself: {error.message}"
        tell(carrying.emit, carrying.clock, EventKind.LOG, message, severity=Severity.WARNING)
        return False
    seconds = (carrying.clock.now() - began).total_seconds()
    message = f"{count(len(tables), 'table')} loaded ahead of the restore in {seconds:.1f} s"
    tell(carrying.emit, carrying.clock, EventKind.LOG, message)
    return True


@dataclass(frozen=True, kw_only=True)
class _Loading:
    """The work on the tables. `begin`: SQL ahead of each transaction; `there`: by dump id, rows and keys are in."""

    carrying: Carrying
    begin: str
    free: asyncio.Semaphore
    there: Mapping[int, asyncio.Event]

    async def run(self, tables: Sequence[core.Table]) -> None:
        await together(self._table(one, tables) for one in tables)
        for text in (key.sql for one in tables for key in one.late):  # each locks two tables: never two at once
            await self._statement(text)

    async def _table(self, table: core.Table, tables: Sequence[core.Table]) -> None:
        """One table: its rows and what they are looked up by; then foreign keys to it, and its other indexes.

        The keys are added before those indexes are begun, and before the tables that they are on get their rows: no
        transaction that takes long holds a lock that another one waits for.
        """
        number = table.entry.dump_id
        for parent in table.parents:
            await self.there[parent].wait()
        async with self.free:
            await self._fill(table)
            for text in (key.sql for child in tables for key in child.early if key.parent == number):
                await self._run(text)
        self.there[number].set()
        await together(self._statement(one) for one in table.indexes)

    async def _fill(self, table: core.Table) -> None:
        """Its rows, written frozen, and its keys, in one transaction."""
        source = self.carrying.tools.rows(self.carrying.archive, as_listing([table.rows]))
        async with (
            source as (statement, blocks),
            self.carrying.target.session(purpose=self.carrying.purpose) as session,
            session.transaction(),
        ):
            await session.run_many([self.begin, sql.load("restore/ahead_empty").replace("{alias}", table.alias)])
            await session.copy_in(core.frozen(statement, table), blocks)
            await session.run_many(table.keys)

    async def _statement(self, text: str) -> None:
        async with self.free:
            await self._run(text)

    async def _run(self, text: str) -> None:
        async with self.carrying.target.session(purpose=self.carrying.purpose) as session:
            await session.run_transaction([self.begin, text])
