"""Rung 3: only what the deploy changed comes back from the backup; the rest is not touched.

What was made is dropped. What was dropped or altered is made again, with all that hangs on it; what can be set back
where it is, is. Tables that the deploy wrote to get their rows back. One transaction does it all.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from agent import sql
from agent.core import backups as core
from agent.core.archive_list import Entry, belongings, entries, fast_order
from agent.core.backups import Manifest
from agent.core.catalog import CatalogObject
from agent.core.models import TableMark
from agent.core.undo import Dependencies, Edge, Undo, pieces, plan_undo
from agent.deploy import outside
from agent.deploy.carrying import Batch
from agent.deploy.deps import Run
from agent.deploy.restore import history_rows
from agent.deploy.salvage import deploy_wrote
from agent.deploy.snapshot import application_schemas, backup_catalog, proof, read_marks, read_objects, schemas_of
from agent.ports import Session

ORPHANED = "DA003"  # raised by sql/undo/orphans.sql and sql/undo/key.sql

# The backup holds these beside the archive too, and there with what they were altered to.
_BESIDE = frozenset({"DEFAULT ACL", "EXTENSION", "EVENT TRIGGER", "PUBLICATION TABLE", "PUBLICATION TABLES IN SCHEMA"})


class NotPossible(Exception):  # noqa: N818 - the ladder goes on to the next rung
    """What the deploy changed cannot be undone by itself; nothing was changed."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a targeted restore does.

    `undone`: for people, a line each. `tables`: those whose rows are loaded again; `present` of them exist.
    """

    undone: tuple[str, ...]
    tables: tuple[str, ...]
    present: tuple[str, ...]
    batch: Batch


async def compose(run: Run, session: Session, *, manifest: Manifest, folder: Path, also: Collection[str]) -> Work:
    """Find out what has to be done, in the transaction that is open.

    Args:
        folder: the backup's files.
        also: tables whose rows are to be loaded again though the deploy has not written to them.

    Raises:
        NotPossible: something would go along that the backup does not have.
    """
    assert run.before is not None  # noqa: S101 - set before migrate
    before = await backup_catalog(folder)
    archive = entries(await run.deps.tools.listing(folder / core.APPLICATION))
    schemas = sorted({*manifest.schemas, *await application_schemas(session, run.deps.options.schemas)})
    now = await read_objects(session, schemas)
    edges = (Edge(**row) for row in await session.rows(sql.load("undo/dependencies")))
    undo = plan_undo(before, now, Dependencies(edges))
    if undo.blocked:
        raise NotPossible(f"what the backup does not hold would go along: {await _described(session, undo)}")
    made = pieces(undo, before, archive)
    if made.missing:
        raise NotPossible(f"the backup cannot make these again by themselves: {', '.join(made.missing[:5])}")

    anew = {name for name in run.before.tables if _relation(name) in undo.again}
    naming = await _naming(
        session, manifest.schemas, {oid for _, oid in undo.hit} | {before[one].objid for one in undo.again}
    )
    refilled = await _to_refill(run, session, now=now, before=before, anew=anew, also=also)
    refilled |= {name for name in naming - anew if name in run.before.tables and _relation(name) in now}
    emptied = await _emptying(session, anew, refilled)
    chosen = belongings(archive, made.entries) | _rows_of(archive, refilled, before)
    order = fast_order([one for one in archive if one.dump_id in chosen and one.desc not in _BESIDE])
    gone, again = core.outside_changes(
        await outside.stored(folder),
        [
            item.model_copy(update={"tied": (item.classid, item.objid) in undo.hit})
            for item in await outside.read_outside(session, schemas)
        ],
    )
    first = outside.FIRST
    loaded = [*anew, *refilled]
    return Work(
        undone=tuple(sorted({*undo.lines, *(f"{item.kind} {item.name}" for item in (*gone, *again) if not item.tied)})),
        tables=tuple(sorted(loaded)),
        present=tuple(sorted(name for name in loaded if _relation(name) in now)),
        batch=Batch(
            name="targeted",
            before=_script(
                *(item.drop for item in reversed(gone) if item.kind not in first),
                *(f"{one} CASCADE" for one in undo.drops),
                *(item.drop for item in reversed(gone) if item.kind in first),
                *undo.early,
                *emptied,
                *(item.create for item in again if item.kind in first),
            ),
            listing="".join(f"{one.line}\n" for one in order),
            after=_script(
                *made.create,
                *undo.late,
                *(item.create for item in again if item.kind not in first),
                session.bind(sql.load("undo/orphans"), {"tables": loaded}),
                *(
                    session.bind(sql.load("undo/key"), {"statement": text, "child": _table(before[name].parent)})
                    for name, text in made.keys.items()
                ),
                await history_rows(session, folder),
                proof(session, run.before, only=loaded),
                sql.load("restore/reload"),
            ),
        ),
    )


async def _described(session: Session, undo: Undo) -> str:
    objects = [{"classid": one[0], "objid": one[1], "objsubid": one[2]} for one in undo.blocked[:20]]
    rows = await session.rows(sql.load("undo/describe"), {"objects": json.dumps(objects)})
    return ", ".join(row["name"] for row in rows[:5])


async def _naming(session: Session, schemas: Sequence[str], oids: Collection[int]) -> set[str]:
    """Tables with rows that name, by OID, an object that is made anew: `regclass` and its kin."""
    found = set()
    for row in await session.rows(sql.load("undo/naming_columns"), {"schemas": list(schemas)}) if oids else ():
        if await session.value(row["query"], {"objects": sorted(oids)}):
            found.add(row["table"])
    return found


async def _to_refill(
    run: Run,
    session: Session,
    *,
    now: Mapping[str, CatalogObject],
    before: Mapping[str, CatalogObject],
    anew: Collection[str],
    also: Collection[str],
) -> set[str]:
    """The tables that stay, that the deploy may have written to or truncated, and that hold something else now."""
    assert run.before is not None  # noqa: S101 - set before migrate
    wrote = await deploy_wrote(session, run.deploy_id)
    suspects = [
        name
        for name in run.before.tables
        if name not in anew
        and (there := now.get(_relation(name))) is not None
        and (wrote is None or there.objid in wrote or name in also)
    ]
    added = [name.removeprefix("column:") for name in now.keys() - before.keys() if now[name].kind == "column"]
    marks = await read_marks(session, schemas_of(run.before), only=suspects, without=added)
    return {name for name in suspects if not _same(run.before.tables[name], marks[name])}


def _same(before: TableMark, now: TableMark) -> bool:
    return (before.rows, before.hash) == (now.rows, now.hash)


async def _emptying(session: Session, anew: Collection[str], refilled: Collection[str]) -> list[str]:
    """TRUNCATE is the faster; it is refused for a table that a foreign key of one that stays points at."""
    quick = set(refilled)
    while quick:
        rows = await session.rows(sql.load("undo/referenced"), {"tables": sorted(quick), "gone": sorted(anew)})
        if not rows:
            break
        quick -= {row["name"] for row in rows}
    slow = [f"DELETE FROM ONLY {name}" for name in sorted(set(refilled) - quick)]  # noqa: S608 - names quoted by Postgres
    return [*slow, *([f"TRUNCATE ONLY {', '.join(sorted(quick))}"] if quick else [])]


def _rows_of(archive: Sequence[Entry], tables: Collection[str], before: Mapping[str, CatalogObject]) -> set[int]:
    """The archive's entries with these tables' rows."""
    wanted = {before[_relation(name)].objid for name in tables}
    return {one.dump_id for one in archive if one.desc == "TABLE DATA" and one.objid in wanted}


def _relation(table: str) -> str:
    return f"relation:{table}"


def _table(relation: str) -> str:
    return relation.removeprefix("relation:")


def _script(*statements: str) -> str:
    return "".join(f"{one.strip().rstrip(';')};\n" for one in statements if one.strip())
