"""A database seen as it is once what a deploy renamed has its name back."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from agent import sql
from agent.core.backups import CATALOG, Manifest
from agent.core.catalog import CatalogObject
from agent.core.renamed import Move, Names, Place, in_two_steps, moves, schemas_back, tables_back
from agent.deploy.archive import BackupOptions
from agent.deploy.carrying import LOCKED
from agent.deploy.snapshot import application_schemas, backup_catalog
from agent.errors import StatementError
from agent.ports import Session

_TABLES = frozenset({"table", "partitioned table"})
_QUALIFIED = re.compile(r'relation:((?:"(?:[^"]|"")+")|[^".]+)\.(.+)', re.DOTALL)


class _Over(Exception):  # noqa: N818 - ends a transaction that is to be rolled back
    pass


async def renamed(
    session: Session, manifest: Manifest, folder: Path, *, chosen: Sequence[str] = (), tables: bool
) -> Names:
    """What gives what is in a backup the names that it had; nothing if nothing was renamed.

    Schemas, tables and columns are told by their names: all that is in them would be made again from the backup, and
    what belongs to others in it would be lost.

    Args:
        folder: the backup's files.
        chosen: schemas of the settings, if they name any: then others are not moved out of the way.
        tables: also tables and columns: the backup was taken from this very database, and none of them is to be made
            again in any case.
    """
    if not await asyncio.to_thread((folder / CATALOG).exists):  # not in backups of an earlier version
        return Names()
    catalog = await backup_catalog(folder)
    before = {item.objid: name.removeprefix("schema:") for name, item in catalog.items() if item.kind == "schema"}
    rows = await session.rows(sql.load("restore/schema_names"))
    others = set(manifest.all_schemas) - set(manifest.schemas)
    ours = set(await application_schemas(session, ())) - others
    called = {row["oid"]: row["quoted"] for row in rows}
    moved = moves(
        before,
        called,
        ours={
            row["oid"] for row in rows if row["ours"] and row["name"] in ours and (row["oid"] in before or not chosen)
        },
    )
    names = Names(schemas_back(moved))
    if not tables:
        return names
    inside = await _tables(session, catalog, called | {one.number: one.new for one in moved})
    return Names(names.statements + inside.statements, inside.called)


async def _tables(session: Session, catalog: Mapping[str, CatalogObject], schemas: Mapping[int, str]) -> Names:
    """The same of tables and columns.

    Args:
        schemas: what they are called once they have their names back.
    """
    before, columns = {}, defaultdict[int, dict[int, str]](dict)
    for name, item in catalog.items():
        if item.kind in _TABLES and (found := _QUALIFIED.fullmatch(name)):
            before[item.objid] = Place(*found.groups())
        elif item.kind == "column" and item.parent.startswith("relation:"):
            table = item.parent.removeprefix("relation:")
            columns[item.objid][item.objsubid] = name.removeprefix(f"column:{table}.")
    of = {place.schema for place in before.values()}
    asked = {
        "ids": list(before),
        "namespaces": [oid for oid, name in schemas.items() if name in of],
        "names": [place.name for place in before.values()],
    }
    rows = await session.rows(sql.load("restore/relation_names"), asked)
    now = {row["oid"]: Place(schemas[row["namespace"]], row["name"]) for row in rows if row["namespace"] in schemas}
    moved = list(tables_back(before, now, ours={row["oid"] for row in rows if row["ours"]}))
    statements = [f"ALTER TABLE {one.name} RENAME TO {one.new}" for one in moved]
    aside = {one.number: now[one.number] for one in moved if one.number not in before}
    now |= {one.number: now[one.number]._replace(name=one.new) for one in moved}
    late: list[str] = []
    back = [oid for oid, place in before.items() if now.get(oid) == place]  # the others are made again
    for row in await session.rows(sql.load("restore/column_names"), {"ids": back}):
        numbered = dict(zip(row["numbers"], row["names"], strict=True))
        ours = {number for number, mine in zip(row["numbers"], row["ours"], strict=True) if mine}
        rename = f"ALTER TABLE {now[row['oid']].qualified} RENAME COLUMN "
        changed: Sequence[Move] = moves(columns[row["oid"]], numbered, ours=ours)
        if row["tied"]:
            changed, after = in_two_steps(changed, table=row["oid"], inherited=row["inherited"])
            late += [f"{rename}{one.name} TO {one.new}" for one in after]
        statements += [f"{rename}{one.name} TO {one.new}" for one in changed]
    was_called = {now[oid].qualified: place.qualified for oid, place in aside.items()}
    return Names((*statements, *late), was_called)


@asynccontextmanager
async def seen_as_before(
    session: Session, names: Sequence[str], options: BackupOptions, *, repeatable: bool = False
) -> AsyncIterator[None]:
    """A transaction to look around in, in which all has the names that it had. It changes nothing.

    Args:
        names: SQL, see `renamed`.
        options: how long, and how often, locks on what is renamed are waited for.
        repeatable: see `Session.transaction`.

    Raises:
        StatementError: the database refused to rename, or a lock was not to be had.
    """
    async with AsyncExitStack() as stack:
        for left in reversed(range(options.lock_attempts)):
            try:
                await stack.enter_async_context(_named(session, names, options, repeatable=repeatable))
            except StatementError as error:
                if error.sqlstate not in LOCKED or not left:
                    raise
            else:
                break
        yield


@asynccontextmanager
async def _named(
    session: Session, names: Sequence[str], options: BackupOptions, *, repeatable: bool
) -> AsyncIterator[None]:
    with suppress(_Over):
        async with session.transaction(read_only=not names, repeatable=repeatable):
            if names:
                await session.run(
                    session.bind(sql.load("restore/lock_timeout"), {"ms": round(options.lock_timeout_s * 1000)})
                )
                await session.run_many([sql.load("restore/quiet"), *names])
            yield
            if names:
                raise _Over
