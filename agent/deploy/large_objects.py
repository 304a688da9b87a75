"""Large objects: into a backup, compared, and back from it.

They lie in no schema, so no archive of schemas holds them. The rows of `pg_largeobject` are for superusers; `lo_get`
reads what the role may read (PostgreSQL documentation, "Large Objects").
"""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from agent import sql
from agent.core import backups
from agent.core import large_objects as core
from agent.core import salvage as ids
from agent.core.backups import Manifest, StoredFile
from agent.core.large_objects import Goal
from agent.core.salvage import Applied, SalvagedTable, Wishes
from agent.deploy.archive import BackupOptions, opened
from agent.deploy.files import new_file
from agent.deploy.snapshot import read_large_objects, readable
from agent.ports import ObjectStore, Row, Session

TABLES = frozenset({"pg_catalog.pg_largeobject", "pg_catalog.pg_largeobject_metadata"})
"""What is written to when one is: those that `sql/ledger/watched.sql` watches."""

SALVAGED = "pg_catalog.pg_largeobject"
"""What they are called among the tables of a salvage; its rows are pieces."""

_COLUMNS = ("oid", "at", "content", "owner", "acl", "comment")
_LEVEL = 1  # of gzip: content is written as hexadecimal digits, and the least effort takes these away
_BLOCK = 1 << 20


class _Hashed:
    """A file that is hashed while it is written."""

    def __init__(self, path: Path) -> None:
        self._stream = new_file(path)
        self.digest = hashlib.sha256()
        self.bytes = 0

    def write(self, data: bytes) -> int:
        self.digest.update(data)
        self.bytes += len(data)
        return self._stream.write(data)

    def flush(self) -> None:
        self._stream.flush()

    def close(self) -> None:
        self._stream.close()


async def write(session: Session, folder: Path) -> StoredFile | None:
    """Write those that the role may read to a new file of a backup; None: there are none.

    Args:
        session: in the transaction that exported the backup's snapshot.

    Raises:
        OSError: the file cannot be written.
    """
    if not await session.value(readable("any")):
        return None
    await session.run(sql.load("snapshot/settings"))
    file = _Hashed(folder / backups.LARGE_OBJECTS)
    try:
        with gzip.GzipFile(filename="", mode="wb", compresslevel=_LEVEL, fileobj=file, mtime=0) as packed:
            await session.copy_out(readable("copy"), packed.write)
    finally:
        await asyncio.to_thread(file.close)
    return StoredFile(name=backups.LARGE_OBJECTS, bytes=file.bytes, sha256=file.digest.hexdigest())


def written(files: Iterable[Row]) -> bool:
    """Whether a deploy may have written to large objects, by the ledger's notes on its files."""
    return any(row["touched_any"] or not TABLES.isdisjoint(row["wrote_outside"]) for row in files)


async def as_left(session: Session, before: Mapping[str, str], *, deploy_id: str, wrote: bool) -> dict[str, str]:
    """What there is now, without what only others can have done, in the transaction that is open.

    Args:
        wrote: the deploy may have written to large objects; if not, their content is not read.
    """
    now = await read_large_objects(session, contents=wrote)
    new = await _new(session, before, now, deploy_id) if wrote else {}
    return core.as_left(before, now, new=new, wrote=wrote)


async def _new(session: Session, before: Mapping[str, str], now: Mapping[str, str], deploy_id: str) -> dict[str, bool]:
    """Those that the deploy has made, or may have, and whether nobody else can have."""
    objects = [int(name) for name in now.keys() - before.keys()]
    if not objects or not await session.value(sql.load("ledger/exists")):
        return {}
    end = ids.visible(await session.value(sql.load("salvage/now"))).high
    [known] = await session.rows(sql.load("salvage/ids"), {"deploy_id": deploy_id, "next": end})
    asked = {**known, "deploy_id": deploy_id, "next": end, "objects": sorted(objects)}
    return {row["name"]: row["sure"] for row in await session.rows(sql.load("large_objects/origins"), asked)}


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What a restore may do to large objects.

    `deploy_id`: those that it has made go. `wrote`: it may have written to some; if not, no content is read or
    replaced. `missing`: those that are gone are made again.
    """

    deploy_id: str = ""
    wrote: bool = True
    missing: bool = True


async def plan(
    session: Session, before: Mapping[str, str] | None, rules: Rules, *, now: Mapping[str, str] | None = None
) -> list[Goal]:
    """What a restore does to them.

    Args:
        session: in a transaction.
        before: what the snapshot has of them; None: it has not looked.
        now: what is there; None: look. One that is no longer as it says is left alone.
    """
    if before is None:
        return []
    await session.run(sql.load("snapshot/settings"))
    if now is None:
        now = await read_large_objects(session, contents=rules.wrote)
    new = await _new(session, before, now, rules.deploy_id) if rules.wrote else {}
    return list(core.goals(before, now, new=new, missing=rules.missing))


async def unlink(session: Session, objects: Collection[int]) -> None:
    """Take these away, those that are there, in the transaction that is open."""
    await session.run(sql.load("snapshot/settings"))
    now = await read_large_objects(session, contents=False)
    goals = [core.gone(name, now[name]) for name in map(str, sorted(objects)) if name in now]
    if goals:
        await session.run(put(session, goals))


def put(session: Session, goals: Sequence[Goal]) -> str:
    """SQL for a restore's transaction that does it, of what `staged` holds ready; "": nothing is to be done."""
    if not goals:
        return ""
    digests = readable("digests").replace("%(contents)s", "(one.content <> '')")
    text = sql.load("large_objects/put").replace("{digests}", digests)
    return session.bind(text, {"goals": json.dumps([goal.model_dump() for goal in goals])})


def kept(session: Session, goals: Iterable[Goal], *, file: str) -> tuple[SalvagedTable, str] | None:
    """What a salvage has of those that may be others', and the query that reads it; None: there are none."""
    objects = [goal.oid for goal in goals if goal.keep]
    if not objects:
        return None
    table = SalvagedTable(
        table=SALVAGED, rows=0, application=0, unclear=0, deletes_unknown=True, columns=_COLUMNS, file=file
    )
    return table, session.bind(readable("kept"), {"objects": objects})


async def put_back(session: Session, table: SalvagedTable, folder: Path, wishes: Wishes) -> Applied:
    """Put what a salvage has of large objects back, in the transaction that is open; all of it is unclear."""
    if not wishes.unclear:
        return Applied(table=table.table, left=table.rows)
    await session.run(sql.load("snapshot/settings"))
    await session.run_many([sql.load("large_objects/stage")])
    await session.copy_in(sql.load("large_objects/fill"), _salvaged(folder / table.file))
    rows = {row["name"]: row for row in await session.rows(sql.load("large_objects/staged"))}
    there = await read_large_objects(session, contents=True)
    states = {
        name: core.fits(there.get(name), row["content"], overwrite=wishes.overwrite) for name, row in rows.items()
    }
    goals = [core.put_back(name, there.get(name)) for name, how in states.items() if how in ("inserted", "overwritten")]
    if goals:
        await session.run(put(session, goals))
    await session.run(session.bind(sql.load("large_objects/unstage"), {"alone": False}))
    after = await read_large_objects(session, contents=True)
    counted = dict.fromkeys(states.values(), 0)
    refused = []
    for name, how in states.items():
        if how != "differs" and core.fits(after.get(name), rows[name]["content"], overwrite=False) != "there":
            refused.append(f"large object {name}: the role cannot act for its owner")
        else:
            counted[how] += rows[name]["pieces"]
    lost = sum(row["pieces"] for row in rows.values()) - sum(counted.values())
    found = Applied(table=table.table, refused=lost, reasons=tuple(refused))
    return found.model_copy(update=counted)


async def _salvaged(path: Path) -> AsyncIterator[bytes]:
    """The rows of a salvage's file, without the letter that says whose each is."""
    with path.open("rb") as stream:

        def block() -> bytes:
            found, size = [], 0
            for line in stream:
                found.append(line.partition(b"\t")[2])
                size += len(line)
                if size >= _BLOCK:
                    break
            return b"".join(found)

        while rows := await asyncio.to_thread(block):
            yield rows


@asynccontextmanager
async def staged(
    session: Session, goals: Sequence[Goal] | None, *, objects: ObjectStore, manifest: Manifest, options: BackupOptions
) -> AsyncIterator[None]:
    """While this lasts, what the backup has of them lies in a table of the database, for `put`.

    Args:
        session: outside a transaction.
        goals: None: all of the backup's, for a restore that was cut off.

    Raises:
        BackupError: as `opened`.
        StatementError, TargetError: the database refused, or is lost.
    """
    wanted = None if goals is None else {goal.oid: goal.make for goal in goals if goal.make or not goal.unlink}
    if wanted == {} or not has_some(manifest):
        yield
        return
    alone = not await session.value(sql.load("history/schema_exists"))
    try:
        async with opened(objects, manifest, options, only=lambda name: name == backups.LARGE_OBJECTS) as folder:
            await session.run_transaction([sql.load("large_objects/stage")])
            await session.copy_in(sql.load("large_objects/fill"), _lines(folder / backups.LARGE_OBJECTS, wanted))
        yield
    finally:
        await session.run(session.bind(sql.load("large_objects/unstage"), {"alone": alone}))


def has_some(manifest: Manifest) -> bool:
    """Whether a backup holds large objects."""
    return any(backups.plain_name(file.name) == backups.LARGE_OBJECTS for file in manifest.files)


async def _lines(path: Path, wanted: Mapping[int, bool] | None) -> AsyncIterator[bytes]:
    """The rows of some of them, in blocks; of one whose content stays only the first."""
    with gzip.open(path) as stream:

        def block() -> bytes | None:
            found, size = [], 0
            for line in stream:
                if wanted is not None:
                    oid, at, _ = line.split(b"\t", 2)
                    whole = wanted.get(int(oid))
                    if whole is None or not (whole or at == b"0"):
                        continue
                found.append(line)
                size += len(line)
                if size >= _BLOCK:
                    break
            return b"".join(found) or None

        while (rows := await asyncio.to_thread(block)) is not None:
            yield rows
