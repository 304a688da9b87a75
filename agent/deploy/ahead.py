"""Loading tables ahead of a full restore: in several sessions, while the application goes on with what there is.

Nothing that the application sees changes. Whatever goes wrong here but for a full disk and a lost connection only means
that the restore's own transaction makes those tables itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from agent import sql
from agent.core import ahead as core
from agent.core.archive_list import Entry, as_listing
from agent.core.backups import APPLICATION
from agent.core.models import EventKind, Severity
from agent.core.restore_failures import named
from agent.core.units import count
from agent.deploy.archive import BackupOptions
from agent.deploy.carrying import beginning
from agent.deploy.emitter import Emit, tell
from agent.deploy.snapshot import backup_catalog
from agent.errors import BackupError, StatementError
from agent.ports import Clock, PgTools, Session, Target

_DISK_FULL = "53100"


@asynccontextmanager
async def loaded_ahead(
    order: Sequence[Entry],
    *,
    session: Session,
    target: Target,
    tools: PgTools,
    folder: Path,
    options: BackupOptions,
    purpose: str,
    clock: Clock,
    emit: Emit,
) -> AsyncIterator[list[core.Table]]:
    """Load the tables of a restore that are worth it and fit for it; those that were not moved are gone at the end.

    Args:
        order: the entries of the archive that the restore is of.
        session: outside a transaction.
        folder: the backup's files.

    Raises:
        TargetError: `restore.server_disk_full`; the connection was lost.
    """
    await _remove(session)
    tables = await _choose(order, session=session, tools=tools, folder=folder, options=options)
    loading = _Loading(
        target=target, tools=tools, folder=folder, options=options, purpose=purpose, clock=clock, emit=emit
    )
    try:
        yield tables if tables and await loading.run(session, tables) else []
    finally:
        if tables:
            await _remove(session)


async def _remove(session: Session) -> None:
    for row in await session.rows(sql.load("restore/ahead_left")):
        await session.run(row["statement"])


async def _choose(
    order: Sequence[Entry], *, session: Session, tools: PgTools, folder: Path, options: BackupOptions
) -> list[core.Table]:
    [how] = await session.rows(sql.load("restore/ahead_fit"))
    if options.ahead_bytes is None or not how["fit"]:
        return []
    sizes = await asyncio.to_thread(_sizes, folder / APPLICATION)
    if not core.worth(order, sizes, least=options.ahead_bytes):
        return []
    try:
        catalog = await backup_catalog(folder)
    except BackupError:  # of an earlier version of the agent, which kept none
        return []
    names = {item.objid: item.identity.removeprefix("relation:") for item in catalog.values() if item.kind == "table"}
    text = await tools.script(folder / APPLICATION, as_listing(one for one in order if one.desc in core.KINDS))
    return core.chosen(order, core.scripts(text), names, sizes, role=how["role"], least=options.ahead_bytes)


def _sizes(archive: Path) -> dict[int, int]:
    """Bytes of each file with rows, by dump id: pg_dump names them so."""
    return {
        int(number): file.stat().st_size
        for file in archive.iterdir()
        if (number := file.name.partition(".")[0]).isdigit()
    }


@dataclass(kw_only=True)
class _Loading:
    """The work on the tables, `options.jobs` at a time."""

    target: Target
    tools: PgTools
    folder: Path
    options: BackupOptions
    purpose: str
    clock: Clock
    emit: Emit
    _begin: str = ""
    _free: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))
    _there: dict[int, asyncio.Event] = field(default_factory=dict)

    async def run(self, session: Session, tables: Sequence[core.Table]) -> bool:
        """All of it; False: it cannot be done, and nothing of it counts."""
        begin, _ = await beginning(session, self.options)
        share = session.bind(sql.load("restore/ahead_begin"), {"jobs": self.options.jobs})
        self._begin = f"{begin}\n{share}"
        self._free = asyncio.Semaphore(self.options.jobs)
        self._there = {one.entry.dump_id: asyncio.Event() for one in tables}
        began = self.clock.now()
        try:
            await session.run_transaction([self._begin, *(text for one in tables for text in one.make)])
            await _together([self._table(one, tables) for one in tables])
            for text in (key.sql for one in tables for key in one.late):  # each locks two tables: never two at once
                await self._statement(text)
        except StatementError as error:
            if error.sqlstate == _DISK_FULL:
                raise named(error, left="Nothing was changed.") from error
            message = f"tables could not be loaded ahead, so the restore makes them itself: {error.message}"
            tell(self.emit, self.clock, EventKind.LOG, message, severity=Severity.WARNING)
            return False
        seconds = (self.clock.now() - began).total_seconds()
        message = f"{count(len(tables), 'table')} loaded ahead of the restore in {seconds:.1f} s"
        tell(self.emit, self.clock, EventKind.LOG, message)
        return True

    async def _table(self, table: core.Table, tables: Sequence[core.Table]) -> None:
        """One table: its rows and what they are looked up by; then foreign keys to it, and its other indexes.

        The keys are added before those indexes are begun, and before the tables that they are on get their rows: no
        transaction that takes long holds a lock that another one waits for.
        """
        number = table.entry.dump_id
        for parent in table.parents:
            await self._there[parent].wait()
        async with self._free:
            await self.tools.restore(
                archive=self.folder / APPLICATION,
                listing=as_listing([table.rows]),
                before=_script(self._begin, f"TRUNCATE {table.alias}"),
                after=_script(*table.keys),
                freeze=True,
                into=(table.name, table.alias),
            )
            for text in (key.sql for child in tables for key in child.early if key.parent == number):
                await self._run(text)
        self._there[number].set()
        await _together([self._statement(one) for one in table.indexes])

    async def _statement(self, text: str) -> None:
        async with self._free:
            await self._run(text)

    async def _run(self, text: str) -> None:
        async with self.target.session(purpose=self.purpose) as session:
            await session.run_transaction([self._begin, text])


def _script(*statements: str) -> str:
    return "".join(f"{one.rstrip().rstrip(';')};\n" for one in statements)


async def _together(work: Sequence[Coroutine[None, None, None]]) -> None:
    """All at once; the first failure ends the others, and is told."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
