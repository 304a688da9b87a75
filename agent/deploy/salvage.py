"""Salvage: rows that the application wrote since the backup, kept before a restore takes them away."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise
from threading import Lock

from agent import sql
from agent.core import salvage as core
from agent.core.backups import Manifest, StoredFile, disk_full
from agent.core.large_objects import Goal
from agent.core.models import EventKind, Severity
from agent.core.salvage import Salvage, SalvagedTable, Stored
from agent.deploy import large_objects
from agent.deploy.archive import BackupOptions, work_dir
from agent.deploy.beside import together
from agent.deploy.emitter import Emit, tell
from agent.deploy.files import new_file
from agent.deploy.snapshot import application_schemas
from agent.errors import TargetError
from agent.ports import Clock, ObjectStore, Row, Session, Target, Upload

_PAGES_AT_ONCE = 1024  # 8 MiB
_PAST_ALL = 2**32 - 1  # InvalidBlockNumber: no table has that page (PostgreSQL, src/include/storage/block.h)

# Without the deploy's notes, any id may be its own.
_ANYBODYS = {"own": "{}", "unsure": "{(,)}", "noted": "{}", "restored": "{}", "began": None}


async def deploy_wrote(session: Session, deploy_id: str) -> set[int] | None:
    """OIDs of the application's tables of before that the deploy may have written to; what it made may be among them.

    Returns:
        None: it may have written to any. What it wrote over another connection (dblink) is never seen.
    """
    if not await session.value(sql.load("ledger/exists")):
        return None
    [found] = await session.rows(sql.load("ledger/deploy_wrote"), {"deploy_id": deploy_id})
    return None if found["any"] else set(found["tables"])


@dataclass(frozen=True, kw_only=True)
class Taken:
    """What there was to keep before a restore.

    `salvage`: None: no row. `others`: somebody but the deploy has committed something since the backup, or may have:
    rows that they deleted come back.
    """

    salvage: Salvage | None
    others: bool


async def take_salvage(
    *,
    session: Session,
    target: Target | None,
    purpose: str,
    objects: ObjectStore,
    manifest: Manifest,
    options: BackupOptions,
    deploy_id: str,
    tables: Collection[str] | None,
    clock: Clock,
    emit: Emit,
    beside: Collection[str] = (),
    large: Collection[Goal] = (),
    what: str = "which the backup does not have",
    called: Mapping[str, str] | None = None,
) -> Taken:
    """Keep the rows that the database has and the backup has not, but for those that only the deploy can have written.

    They are told by the transaction id that each row has. While the deploy's notes of its own ids are there, its rows
    are left out where it only inserted; what it updated may have been the application's, and is kept as unclear.

    Args:
        session: in a REPEATABLE READ transaction, whose search path and formats are set as pg_dump sets them.
        target, purpose: for more sessions, which read parts of large tables beside it, see `Target.connect`. No target:
            none, since they would not see what the transaction has changed.
        manifest: of the backup that will be restored, taken from this very server.
        tables: by qualified name, those that will be reloaded or dropped; None: all of the application's.
        beside: schemas that are not the application's, of which rows are kept, too.
        large: what the restore does to large objects: those that it takes away and that may be others' are kept, too.
        what: which rows these are, for people.
        called: what to call tables that have another name only now. One whose name another one has keeps this one.

    Raises:
        BackupError: `backup.disk_full`, `backup.target_failed`, `backup.encryption_failed`; nothing is left behind.
        StatementError: a table cannot be read.
    """
    if not manifest.snapshot:
        message = f"backup {manifest.id} does not note its snapshot: rows written since are not known, and not kept"
        tell(emit, clock, EventKind.LOG, message, severity=Severity.WARNING)
        return Taken(salvage=None, others=True)
    until = await session.value(sql.load("salvage/now"))
    origins = await _origins(session, manifest, deploy_id, until=until)
    if not origins.others:
        return Taken(salvage=None, others=False)
    message = "others may have written since the backup: rows that they deleted come back, and nobody can tell which"
    tell(emit, clock, EventKind.LOG, message, severity=Severity.WARNING)
    await session.run(sql.load("salvage/settings"))
    schemas = {*manifest.schemas, *await application_schemas(session, options.schemas), *beside}
    found = await _written(session, origins, await _tables(session, schemas, origins, tables))
    if taken_away := large_objects.kept(session, large, file=f"{len(found) + 1:04}.copy"):
        found.append(_Found(table=taken_away[0], rows=taken_away[1], pages=0))
    if not found:
        return Taken(salvage=None, others=True)
    taken = {one.table.table for one in found}
    renamed = {name: was for name, was in (called or {}).items() if was not in taken}
    salvage = Salvage(
        id=new_id(clock),
        project=manifest.project,
        deploy_id=deploy_id,
        backup_id=manifest.id,
        at=clock.now(),
        tables=tuple(
            one.table.model_copy(update={"table": renamed.get(one.table.table, one.table.table)}) for one in found
        ),
        location="",
        until=until,
    )
    queries = [_parts(session, one) for one in found]
    wanted = min(options.jobs, max(len(parts) for parts in queries))
    async with _sharing(session, target, purpose, wanted, clock=clock, emit=emit) as readers:
        salvage = await publish(readers, objects, options, salvage, queries)
    tell_kept(emit, clock, salvage, what)
    return Taken(salvage=salvage, others=True)


def new_id(clock: Clock) -> str:
    """An id for a salvage."""
    return f"{clock.now():%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"


def tell_kept(emit: Emit, clock: Clock, salvage: Salvage, what: str) -> None:
    """Tell what is in a salvage.

    Args:
        what: which rows these are, for the message.
    """
    tell(
        emit,
        clock,
        EventKind.LOG,
        f"kept {core.sentence(salvage.tables)}, {what}, as salvage {salvage.id}",
        severity=Severity.WARNING,
        salvage=salvage.id,
        location=salvage.location,
        rows=salvage.rows,
        application=salvage.application,
        tables=[table.model_dump(mode="json", exclude={"columns", "file"}) for table in salvage.tables],
    )


@asynccontextmanager
async def _sharing(
    session: Session, target: Target | None, purpose: str, wanted: int, *, clock: Clock, emit: Emit
) -> AsyncIterator[list[Session]]:
    """The session, and more that see what it sees: as many as are wanted, or as there are connections for."""
    if target is None:
        yield [session]
        return
    async with AsyncExitStack() as stack:
        found = [session]
        shared = {"id": await session.value(sql.load("snapshot/export"))} if wanted > 1 else {}
        while len(found) < wanted:
            try:
                more = await stack.enter_async_context(target.session(purpose=purpose))
            except TargetError as error:
                tell(emit, clock, EventKind.LOG, f"large tables are read by {len(found)} at a time: {error.message}")
                break
            await stack.enter_async_context(more.transaction(read_only=True, repeatable=True))
            await more.run(more.bind(sql.load("snapshot/share"), shared))
            await more.run(sql.load("salvage/settings"))
            found.append(more)
        yield found


def _parts(session: Session, found: _Found) -> list[str]:
    """The queries for the rows of a table, a stretch of pages each: where its rows are nobody knows."""
    firsts = range(0, found.pages, _PAGES_AT_ONCE)
    if len(firsts) < 2:
        return [found.rows]
    parts = []
    for first, behind in pairwise([*firsts, _PAST_ALL]):
        part = session.bind(sql.load("salvage/part"), {"first": f"({first},0)", "behind": f"({behind},0)"})
        parts.append(found.rows + part)
    return parts


async def publish(
    readers: Sequence[Session],
    objects: ObjectStore,
    options: BackupOptions,
    salvage: Salvage,
    queries: Sequence[Sequence[str]],
) -> Salvage:
    """Write a salvage to its place.

    Args:
        readers: one or more sessions: in the transaction that the rows were found in, or that see what it sees.
        queries: for each table, what reads its rows, in one or more parts. The first column says whose the row is.

    Returns:
        The salvage, with its location and the numbers of rows.

    Raises:
        BackupError: as `take_salvage`.
    """
    place = core.place(salvage)
    salvage = salvage.model_copy(update={"location": f"{objects.label}/{place}"})
    async with objects.upload(place, work_dir=work_dir(options)) as upload:
        kept = [
            await _keep(readers, upload, options, table, parts)
            for table, parts in zip(salvage.tables, queries, strict=True)
        ]
        salvage = salvage.model_copy(update={"tables": tuple(table for table, _ in kept)})
        encryption = options.cipher.name if options.encrypt and options.cipher else ""
        files = tuple(file for _, file in kept)
        await upload.publish(core.seal(Stored(salvage=salvage, encryption=encryption, files=files)))
    return salvage


@dataclass(frozen=True, kw_only=True)
class _Origins:
    """Whose a row is, by the transaction id that wrote it: the parameters of sql/salvage/rows.sql.

    `others`: somebody but the deploy has committed something since the backup.
    """

    ids: Row
    others: bool
    notes: Row


async def _origins(session: Session, manifest: Manifest, deploy_id: str, *, until: str) -> _Origins:
    before, now = core.visible(manifest.snapshot), core.visible(until)
    limits = {
        "low": before.low,
        "high": before.high,
        "running": list(before.running),
        "next": now.high,
        "complete": False,
    }
    known: Row = _ANYBODYS
    notes: Row = {"replaced": [], "ids": [], "filenodes": []}
    if await session.value(sql.load("ledger/exists")):
        args = {"deploy_id": deploy_id, "next": now.high}
        [known] = await session.rows(sql.load("salvage/ids"), args)
        [notes] = await session.rows(sql.load("salvage/notes"), args)
    if await session.value(sql.load("restore/journal_exists")):
        args = {"restored": known["restored"], "next": now.high}
        known = {**known, "restored": await session.value(sql.load("salvage/restored_batches"), args)}
    ids = {**known, **limits}
    others = known["unsure"] != "{}" or await session.value(sql.load("salvage/others"), ids)
    return _Origins(ids=ids, others=others, notes=notes)


async def _tables(
    session: Session, schemas: Collection[str], origins: _Origins, only: Collection[str] | None
) -> list[Row]:
    args = {**origins.notes, "schemas": sorted(schemas), "only": None if only is None else sorted(only)}
    return await session.rows(sql.load("salvage/tables"), args)


@dataclass(frozen=True, kw_only=True)
class _Found:
    """A table that has rows to keep, which are not counted yet; the query that reads them; its pages."""

    table: SalvagedTable
    rows: str
    pages: int


async def _written(session: Session, origins: _Origins, tables: Sequence[Row]) -> list[_Found]:
    found: list[_Found] = []
    for table in tables:
        args = {**origins.ids, "replaced": table["replaced"], "rewritten": table["rewritten"]}
        rows = session.bind(sql.load("salvage/rows"), args).replace("{table}", table["name"])
        if await session.value(sql.load("salvage/any").replace("{rows}", rows.replace("{columns}", ""))):
            kept = salvaged_table({**table, "application": 0, "unclear": 0}, len(found) + 1)
            found.append(_Found(table=kept, rows=rows.replace("{columns}", table["list"]), pages=table["pages"]))
    return found


def salvaged_table(row: Row, number: int) -> SalvagedTable:
    """A table of a salvage.

    Args:
        row: its `name`, its `columns`, and how many of its rows are the `application`'s and how many `unclear`.
        number: among the salvage's tables; its file is called so.
    """
    return SalvagedTable(
        table=row["name"],
        rows=row["application"] + row["unclear"],
        application=row["application"],
        unclear=row["unclear"],
        deletes_unknown=True,
        columns=tuple(row["columns"]),
        file=f"{number:04}.copy",
    )


async def _keep(
    readers: Sequence[Session], upload: Upload, options: BackupOptions, table: SalvagedTable, parts: Sequence[str]
) -> tuple[SalvagedTable, StoredFile]:
    """Write one table's rows to a file, and hand it over; counts them."""
    path = upload.folder / table.file
    digest, size, total, application = hashlib.sha256(), 0, 0, 0
    stream, one_at_a_time, left = new_file(path), Lock(), iter(parts)

    def write(block: bytes) -> None:  # of whole rows
        nonlocal size, total, application
        with one_at_a_time:
            digest.update(block)
            size += stream.write(block)
            total += block.count(b"\n")  # in rows it is written \\n
            application += block.startswith(b"a") + block.count(b"\na")

    async def read(session: Session) -> None:
        for rows in left:
            await session.copy_out(sql.load("salvage/copy").replace("{rows}", rows), write)

    try:
        await together(read(one) for one in readers)
    except OSError as error:
        raise disk_full(f"{path}: {error.strerror}") from error
    finally:
        await asyncio.to_thread(stream.close)
    file = StoredFile(name=table.file, bytes=size, sha256=digest.hexdigest())
    if options.encrypt:
        assert options.cipher is not None  # noqa: S101 - bootstrap sets both
        made = await options.cipher.encrypt(path, path.with_name(f"{table.file}.age"))
        file = made.model_copy(update={"name": f"{table.file}.age"})
        path.unlink()
    await upload.keep(file.name)
    counted = {"rows": total, "application": application, "unclear": total - application}
    return table.model_copy(update=counted), file
