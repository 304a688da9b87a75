"""Salvages that lie beside backups: listed, shown, put back, and settled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from agent import sql
from agent.core import salvage as core
from agent.core import sealed
from agent.core.salvage import Applied, Salvage, SalvagedTable, Settlement, Stored, Wishes
from agent.deploy import large_objects
from agent.deploy.archive import BackupOptions, fetched
from agent.errors import BackupError, NotFoundError, StatementError
from agent.ports import ObjectStore, Row, Session

_BLOCK = 1 << 20
_DATA = ("22", "23", "42", "44")  # data exception, constraint violation, no such cast, check option: rows do not fit
_DAMAGE = frozenset({"backup.damaged", "notfound.backup"})


async def load_salvages(objects: ObjectStore, project: str, *, beginning: str = "") -> list[Stored]:
    """The salvages of a project whose ids begin so, newest first, each with whether it is settled.

    Raises:
        BackupError: `salvage.damaged`, `salvage.newer_format`: a manifest is not what was written.
    """
    keys = await objects.keys(project)
    found = []
    for key in core.manifests(keys):
        if not core.id_of(key).startswith(beginning):
            continue
        stored = core.unseal(await objects.get_bytes(key), where=f"{objects.label}/{key}")
        if core.place(stored.salvage) != key.rpartition("/")[0]:
            raise core.damaged(f"{objects.label}/{key}", f"it is the one of {stored.salvage.id}")
        settled = f"{core.place(stored.salvage)}/{core.SETTLED}"
        how = Settlement.OPEN
        if settled in keys:
            how = core.settlement(await objects.get_bytes(settled), where=f"{objects.label}/{settled}")
        found.append(stored.model_copy(update={"salvage": stored.salvage.model_copy(update={"settled": how})}))
    return sorted(found, key=lambda stored: stored.salvage.at, reverse=True)


async def unsettled_backups(objects: ObjectStore, project: str) -> set[str]:
    """Ids of the backups beside which a salvage lies that nobody has applied or dismissed; also one that is damaged."""
    keys = await objects.keys(project)
    return {
        core.backup_of(key) for key in core.manifests(keys) if f"{key.rpartition('/')[0]}/{core.SETTLED}" not in keys
    }


async def find_salvage(objects: ObjectStore, project: str, name: str) -> Stored:
    """The salvage of that id, or of that unambiguous beginning of an id.

    Raises:
        NotFoundError: `notfound.salvage`.
        BackupError: `salvage.damaged`, `salvage.newer_format`.
    """
    fitting = await load_salvages(objects, project, beginning=name)
    if len(fitting) == 1:
        return fitting[0]
    ids = " or ".join(one.salvage.id for one in fitting)
    raise NotFoundError(
        f"{name!r} may be {ids}" if fitting else f"there is no salvage {name!r}",
        code="notfound.salvage",
        hint="`deploy-agent salvage list` shows them.",
    )


async def settle(objects: ObjectStore, salvage: Salvage, how: Settlement, *, now: datetime) -> Salvage:
    """Record what became of a salvage; from then on its backup may be removed."""
    content = {"how": how.value, "at": now.isoformat()}
    await objects.put_bytes(f"{core.place(salvage)}/{core.SETTLED}", sealed.seal(content))
    return salvage.model_copy(update={"settled": how})


@asynccontextmanager
async def salvage_files(objects: ObjectStore, stored: Stored, options: BackupOptions) -> AsyncIterator[Path]:
    """The files of a salvage in a local folder, plain, each checked against what was written.

    Raises:
        BackupError: `salvage.damaged`, `backup.identity_missing`, `backup.decryption_failed`.
    """
    place = core.place(stored.salvage)
    opening = fetched(objects, place, stored.files, options, encrypted=bool(stored.encryption))
    try:
        folder = await opening.__aenter__()
    except BackupError as error:
        if error.code not in _DAMAGE:
            raise
        raise core.damaged(f"{objects.label}/{place}", error.message) from error
    try:
        yield folder
    finally:
        await opening.__aexit__(None, None, None)


async def first_rows(
    objects: ObjectStore, stored: Stored, options: BackupOptions, *, limit: int
) -> dict[str, list[dict[str, str | None]]]:
    """The first rows of each table, by column, as text; `""` is the column that says whose the row is.

    Raises:
        BackupError: as `salvage_files`.
    """
    async with salvage_files(objects, stored, options) as folder:
        return {table.table: await asyncio.to_thread(_head, folder, table, limit) for table in stored.salvage.tables}


def _head(folder: Path, table: SalvagedTable, limit: int) -> list[dict[str, str | None]]:
    with (folder / table.file).open("rb") as stream:
        lines = [line for line, _ in zip(stream, range(limit), strict=False)]
    return [dict(zip(("", *table.columns), core.fields(line), strict=True)) for line in lines]


@dataclass(kw_only=True)
class _Staged:
    """A salvaged table whose rows are in a temporary one. `names`: for the SQL of sql/salvage."""

    table: SalvagedTable
    plan: Row

    def text(self, session: Session, name: str, **values: object) -> str:
        """One of the statements, for this table, with its values."""
        bound = session.bind(sql.load(f"salvage/{name}"), values)
        return core.filled(bound, {**self.plan, "table": self.table.table})


class _OnlyTried(Exception):  # noqa: N818 - it rolls a transaction back
    """The rows are not to be kept."""

    @classmethod
    def unless(cls, kept: bool) -> None:  # noqa: FBT001 - reads as a sentence
        if not kept:
            raise cls


async def apply_salvage(
    session: Session,
    objects: ObjectStore,
    stored: Stored,
    options: BackupOptions,
    wishes: Wishes,
) -> list[Applied]:
    """Put rows back where they fit, in one transaction; the tables' triggers are off meanwhile.

    A row that the table has already is left as it is. One whose key another row has is only told, or takes its place if
    that is asked for. One that the table refuses does not keep the others out. Sequences go on behind the highest
    number.

    Args:
        session: outside a transaction, under the deploy lock.

    Raises:
        BackupError: `salvage.damaged` and its kin; nothing was changed.
        StatementError: the database refused something but a row; nothing was changed.
    """
    applied: list[Applied] = []
    async with salvage_files(objects, stored, options) as folder:
        try:
            async with session.transaction():
                await session.run(sql.load("salvage/settings"))
                timeout = {"ms": round(options.lock_timeout_s * 1000)}
                await session.run(session.bind(sql.load("salvage/checked_at_once"), timeout))
                applied += await _apply(session, stored.salvage.tables, folder, wishes)
                _OnlyTried.unless(not wishes.dry_run)
        except _OnlyTried:
            pass
    return applied


async def _apply(session: Session, tables: Sequence[SalvagedTable], folder: Path, wishes: Wishes) -> list[Applied]:
    plans = [
        _Staged(
            table=table,
            plan=(
                await session.rows(
                    sql.load("salvage/plan"),
                    {"table": table.table, "columns": list(table.columns), "stage": f"deploy_agent_salvage_{number}"},
                )
            )[0],
        )
        for number, table in enumerate(tables, start=1)
        if not _is_large(table)
    ]
    staged = [one for one in plans if one.plan["id"] is not None and one.plan["any"]]
    for one in staged:
        await _fill(session, one, folder, unclear=wishes.unclear)
    ids = {"ids": [one.plan["id"] for one in staged]}
    triggers = await session.rows(sql.load("salvage/triggers"), ids)
    for trigger in triggers:
        await session.run(trigger["off"])
    await session.run(sql.load("salvage/usual_path"))
    await _insert_all(session, staged)
    if wishes.overwrite:
        for one in staged:
            if one.plan["overwrites"]:
                await session.run(one.plan["overwrite"])
                await session.run(one.text(session, "mark", since="differs", to="overwritten"))
    for trigger in triggers:
        await session.run(trigger["on"])
    if not wishes.dry_run:  # a sequence does not go back with the transaction
        for row in await session.rows(sql.load("salvage/sequences"), ids):
            await session.rows(row["statement"])
    applied = [await _outcome(session, one, unclear=wishes.unclear, staged=one in staged) for one in plans]
    large = [await large_objects.put_back(session, one, folder, wishes) for one in tables if _is_large(one)]
    return [*applied, *large]


def _is_large(table: SalvagedTable) -> bool:
    return table.table == large_objects.SALVAGED


async def _fill(session: Session, one: _Staged, folder: Path, *, unclear: bool) -> None:
    await session.run(one.plan["make"])
    await session.copy_in(one.plan["fill"], _blocks(folder / one.table.file))
    if not unclear:
        await session.run(one.text(session, "set_state", since=None, to="left", kinds=["u"]))


async def _blocks(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as stream:
        while block := await asyncio.to_thread(stream.read, _BLOCK):
            yield block


async def _insert_all(session: Session, staged: Collection[_Staged]) -> None:
    """All rows of a table at once where they fit: those of other tables may need them first. Then row by row."""
    waiting = list(staged)
    progress = True
    while waiting and progress:
        progress = False
        for one in list(waiting):
            if await _inserted_at_once(session, one):
                waiting.remove(one)
                progress = True
    while waiting:
        inserted = [await _insert_singly(session, one) for one in waiting]
        if not any(inserted):
            break
    for one in staged:
        await session.run(one.text(session, "set_state", since=None, to="differs", kinds=["a", "u"]))


async def _inserted_at_once(session: Session, one: _Staged) -> bool:
    try:
        async with session.transaction():
            await session.run(one.text(session, "mark", since=None, to="there"))
            await session.run(one.text(session, "insert"))
            await session.run(one.text(session, "mark", since=None, to="inserted"))
    except StatementError as error:
        if not error.sqlstate.startswith(_DATA):
            raise
        return False
    return True


async def _insert_singly(session: Session, one: _Staged) -> int:
    """Rows that were inserted now."""
    await session.run(one.text(session, "set_state", since="refused", to=None, kinds=["a", "u"]))
    await session.run(one.text(session, "insert_singly"))
    tag = await session.run(one.text(session, "mark", since=None, to="inserted"))
    return int(tag.rpartition(" ")[2])


async def _outcome(session: Session, one: _Staged, *, unclear: bool, staged: bool) -> Applied:
    table = one.table
    left_out = tuple(one.plan["left_out"])
    if not staged:
        why = "no such table" if one.plan["id"] is None else "the table has none of these columns"
        left = 0 if unclear else table.unclear
        return Applied(table=table.table, refused=table.rows - left, left=left, left_out=left_out, reasons=(why,))
    rows = await session.rows(one.text(session, "states"))
    return Applied(
        table=table.table,
        left_out=left_out,
        reasons=tuple(reason for row in rows if row["state"] == "refused" for reason in row["reasons"] or ()),
        **{row["state"]: row["rows"] for row in rows},
    )
