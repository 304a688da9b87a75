"""Rung 3: only what the deploy changed comes back from the backup; the rest is not touched.

What was made is dropped. What was dropped or altered is made again, with all that hangs on it; what can be set back
where it is, is. Tables that the deploy wrote to get their rows back. One transaction does it all.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from agent import sql
from agent.core import backups as core
from agent.core import lock_room
from agent.core.archive_list import Entry, as_listing, attached_late, belongings, entries, fast_order, split_at_rows
from agent.core.backups import Manifest, OutsideObject
from agent.core.catalog import CatalogObject
from agent.core.large_objects import Goal
from agent.core.models import TableMark
from agent.core.restore_sql import reading_checks
from agent.core.undo import Dependencies, Edge, Undo, node_of, pieces, plan_undo, validated_apart
from agent.deploy import large_objects, outside
from agent.deploy.carrying import Batch, script
from agent.deploy.deps import Run
from agent.deploy.late import Guard
from agent.deploy.restore import granted_on, history_rows
from agent.deploy.salvage import deploy_wrote
from agent.deploy.snapshot import (
    advance_sequences,
    application_schemas,
    backup_catalog,
    proof,
    read_marks,
    read_objects,
    schemas_of,
)
from agent.ports import Session

ORPHANED = "DA003"  # raised by sql/undo/keys.sql and sql/undo/key.sql

# The backup holds these beside the archive too, and there with what they were altered to.
_BESIDE = frozenset({"DEFAULT ACL", "EXTENSION", "EVENT TRIGGER", "PUBLICATION TABLE", "PUBLICATION TABLES IN SCHEMA"})


class NotPossible(Exception):  # noqa: N818 - the ladder goes on to the next rung
    """What the deploy changed cannot be undone by itself; nothing was changed."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a targeted restore does.

    `undone`: for people, a line each. `tables`: those whose rows are loaded again. `present`: those that there are now
    and that lose rows. `dangling`: tables outside the backup with rows that name, by OID, what is made anew.
    `large`: what is done with large objects.
    """

    undone: tuple[str, ...]
    tables: tuple[str, ...]
    present: tuple[str, ...]
    dangling: frozenset[str]
    batch: Batch
    large: tuple[Goal, ...] = ()

    def with_large_objects(self, session: Session, goals: Sequence[Goal]) -> Work:
        """The same, and what is to be done with large objects."""
        after = script(large_objects.put(session, goals)) + self.batch.after
        return replace(
            self,
            undone=(*self.undone, *(goal.line for goal in goals)),
            batch=replace(self.batch, after=after),
            large=tuple(goals),
        )


@dataclass(frozen=True, kw_only=True)
class _Case:
    """What the deploy has left, beside what there was. `new`: tables that are made anew; `again`: that are refilled."""

    before: Mapping[str, CatalogObject]
    now: Mapping[str, CatalogObject]
    schemas: Sequence[str]
    undo: Undo
    new: set[str]
    again: set[str]

    @property
    def loaded(self) -> list[str]:
        """Tables whose rows are loaded again."""
        return sorted(self.new | self.again)

    @property
    def losing(self) -> dict[str, int]:
        """Relations that lose rows, with their OIDs: what goes, made anew or not, and tables that are refilled."""
        return {
            _table(name): item.objid
            for name, item in self.now.items()
            if name.startswith(_relation(""))
            and (name not in self.before or name in self.undo.again or _table(name) in self.again)
        }


async def compose(
    run: Run,
    session: Session,
    *,
    manifest: Manifest,
    folder: Path,
    also: Collection[str],
    guard: Guard,
    names: Sequence[str] = (),
) -> Work:
    """Find out what has to be done, in the transaction that is open.

    Args:
        folder: the backup's files.
        names: what gave schemas the names that they had, in this transaction; the restore does it first, too.
        also: tables whose rows are to be loaded again though the deploy has not written to them.
        guard: keeps what is written until the restore has its locks.

    Raises:
        NotPossible: something would go along that the backup does not have.
    """
    assert run.before is not None  # noqa: S101 - set before migrate
    case = await _look(run, session, manifest, await backup_catalog(folder), also)
    archive = entries(await run.deps.tools.listing(folder / core.APPLICATION))
    made = pieces(case.undo, case.before, archive)
    if made.missing:
        raise NotPossible(f"the backup cannot make these again by themselves: {', '.join(made.missing[:5])}")
    chosen = belongings(archive, made.entries) | _rows_of(archive, case)
    order = attached_late(fast_order([one for one in archive if one.dump_id in chosen and one.desc not in _BESIDE]))
    await _refuse_without_room(session, case, order)
    order, granted = await granted_on(run.deps.tools, folder / core.APPLICATION, order)
    emptying = await _emptying(session, case, least=run.deps.backup.ahead_bytes)
    made_first, filled = split_at_rows(order) if emptying.fresh else (order, [])
    if filled:  # pg_restore comes twice: rights go with the rows, since an owner may have taken its own away
        made_first, rights = lock_room.rights_apart(made_first)
        filled = [*filled, *rights]
    held, present = await outside.by_deploy(
        session, await outside.stored(folder), await outside.read_outside(session, case.schemas)
    )
    theirs = await outside.publications_of_others(session)
    gone, again = core.outside_changes(
        held, [_untied(item, case.undo, makes=bool(case.undo.again)) for item in present]
    )
    lines = {f"{item.kind} {item.name}" for item in (*gone, *again) if not item.tied}
    first = outside.FIRST
    return Work(
        undone=tuple(sorted({*case.undo.lines, *lines, *names})),
        tables=tuple(case.loaded),
        present=tuple(case.losing),
        dangling=frozenset(await naming_tables(session, case.schemas, {oid for _, oid in case.undo.hit}, inside=False)),
        batch=Batch(
            name="targeted",
            before=script(
                *names,
                *(outside.gone(session, item, theirs) for item in reversed(gone) if item.kind not in first),
                guard.script(session, case.losing.values()),
                *case.undo.drops,
                *(item.drop for item in reversed(gone) if item.kind in first),
                *case.undo.early,
                _keys(session, case, after=False),
                *emptying.statements,
                *(item.create for item in again if item.kind in first),
            ),
            listing=as_listing(made_first),
            rest=as_listing(filled),
            after=script(
                *granted,
                *made.create,
                *case.undo.late,
                *validated_apart(case.before, case.undo.again),
                *(outside.made(session, item, theirs) for item in again if item.kind not in first),
                _keys(session, case, after=True),
                *(_key(session, text, case.before[name].parent) for name, text in made.keys.items()),
                advance_sequences(session, run.before.sequences),
                await history_rows(session, folder),
                proof(session, run.before, only=case.loaded),
                sql.load("restore/reload"),
            ),
        ),
    )


async def _refuse_without_room(session: Session, case: _Case, order: Sequence[Entry]) -> None:
    """Raises NotPossible where its one transaction takes more locks than there is room for: rung 4 takes several."""
    [found] = await session.rows(sql.load("restore/locks"), {"schemas": []})
    room = lock_room.room(places=found["places"], taken=found["taken"])
    set_back = len(case.undo.early) + len(case.undo.late)
    locks = len(case.undo.hit) + lock_room.to_make(order) + set_back + len(case.loaded)
    if locks > room:
        raise NotPossible(
            f"its one transaction would take {locks:,} locks, and the server has room for {room:,}; a restore of "
            "everything can be cut into several"
        )


async def _look(
    run: Run, session: Session, manifest: Manifest, before: Mapping[str, CatalogObject], also: Collection[str]
) -> _Case:
    assert run.before is not None  # noqa: S101 - set before migrate
    schemas = sorted({*manifest.schemas, *await application_schemas(session, run.deps.options.schemas)})
    now = await read_objects(session, schemas)
    dependencies = Dependencies(Edge(**row) for row in await session.rows(sql.load("undo/dependencies")))
    remake: set[str] = set()
    differing: set[str] | None = None
    while True:
        undo = plan_undo(before, now, dependencies, remake=remake)
        if undo.blocked:
            raise NotPossible(f"what the backup does not hold would go along: {await _described(session, undo)}")
        new = {name for name in run.before.tables if _relation(name) in undo.again}
        oids = {oid for _, oid in undo.hit} | {before[name].objid for name in undo.again}
        naming = await naming_tables(session, manifest.schemas, oids)
        if differing is None:
            differing = await _differing(run, session, now=now, before=before, anew=new, also=also)
        again = differing | {name for name in naming if name in run.before.tables and _relation(name) in now}
        case = _Case(before=before, now=now, schemas=schemas, undo=undo, new=new, again=again - new)
        if not (more := (_in_the_way(case) | _built_after(case, dependencies)) - remake):
            return case
        remake |= more


def _in_the_way(case: _Case) -> set[str]:
    """Checks that stay, and that rows of before may not pass: those not validated, those that ask a function.

    Of domains only functions that may read tables: PostgreSQL adds no check to a domain that an array of a column uses.
    """
    relations = {_relation(name) for name in case.again}
    reading = {item.identity for item in reading_checks(case.before)}
    return {
        name
        for name, item in case.before.items()
        if item.kind == "constraint"
        and item.create
        and not item.foreign_key
        and name in case.now
        and name not in case.undo.again
        and (
            item.definition.endswith("NOT VALID")
            or (item.parent in relations and any(need.startswith("function:") for need in item.needs))
            or name in reading
        )
        and (item.parent in relations or (item.parent.startswith("type:") and case.loaded))
    }


def _built_after(case: _Case, dependencies: Dependencies) -> set[str]:
    """Indexes of tables that are refilled: to build one over the rows is cheaper than to add each row to it.

    Not those that something hangs on, such as a foreign key, not those that say more than what is indexed, and not
    those of partitions that belong to the partitioned table's: they cannot be dropped by themselves.
    """
    relations = {
        _relation(name)
        for name in case.again
        if "USING INDEX" not in case.before[_relation(name)].settings.get("replica_identity", "")
    }
    return {
        name
        for name, item in case.before.items()
        if item.kind == "index"
        and item.parent in relations
        and "cluster" not in item.settings
        and name in case.now
        and case.now[name].drop
        and name not in case.undo.again
        and dependencies.closure([node_of(case.now[name])]) == {node_of(case.now[name])}
    }


def _untied(item: OutsideObject, undo: Undo, *, makes: bool) -> OutsideObject:
    """What need not go because nothing that it hangs on does. Default privileges would add to what is made."""
    tied = makes and item.tied if item.kind == "default privileges" else (item.classid, item.objid) in undo.hit
    return item.model_copy(update={"tied": tied})


def _keys(session: Session, case: _Case, *, after: bool) -> str:
    text = sql.load("undo/keys").replace("{keys}", sql.load("undo/keys_touched"))
    return session.bind(text, {"tables": sorted(case.again), "loaded": case.loaded, "after": after})


def _key(session: Session, statement: str, relation: str) -> str:
    return session.bind(sql.load("undo/key"), {"statement": statement, "child": _table(relation)})


async def _described(session: Session, undo: Undo) -> str:
    objects = [{"classid": one[0], "objid": one[1], "objsubid": one[2]} for one in undo.blocked[:20]]
    rows = await session.rows(sql.load("undo/describe"), {"objects": json.dumps(objects)})
    return ", ".join(row["name"] for row in rows[:5])


async def naming_tables(
    session: Session, schemas: Sequence[str], oids: Collection[int], *, inside: bool = True
) -> set[str]:
    """Tables with rows that name, by OID, an object that is made anew: `regclass` and its kin.

    Args:
        schemas: where to look, or with `inside` false where not to.
        oids: of these objects.
    """
    found = set()
    asked = {"schemas": list(schemas), "inside": inside}
    for row in await session.rows(sql.load("undo/naming_columns"), asked) if oids else ():
        if await session.value(row["query"], {"objects": sorted(oids)}):
            found.add(row["table"])
    return found


async def _differing(
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
    marks = await read_marks(session, schemas_of(run.before), only=suspects, without=_added(now, before))
    return {name for name in suspects if not _same(run.before.tables[name], marks[name])}


def _added(now: Mapping[str, CatalogObject], before: Mapping[str, CatalogObject]) -> list[str]:
    """Columns that were not there, by qualified name."""
    return [name.removeprefix("column:") for name in now.keys() - before.keys() if now[name].kind == "column"]


def _same(before: TableMark, now: TableMark) -> bool:
    return (before.rows, before.hash) == (now.rows, now.hash)


@dataclass(frozen=True, kw_only=True)
class _Emptying:
    """SQL that empties the tables that are refilled; `fresh`: nothing is left of what was in them, not even on disk."""

    statements: tuple[str, ...]
    fresh: bool


async def _emptying(session: Session, case: _Case, *, least: int | None) -> _Emptying:
    """TRUNCATE is the faster; it is refused for a table that a foreign key of one that stays points at.

    Such a table is written anew when it is empty, where it can be and is of `least` bytes.
    """
    quick = set(case.again)
    while quick:
        rows = await session.rows(sql.load("undo/referenced"), {"tables": sorted(quick), "gone": sorted(case.new)})
        if not rows:
            break
        quick -= {row["name"] for row in rows}
    slow = sorted(case.again - quick)
    asked = {"tables": slow, "least": least, "added": _added(case.now, case.before)}
    found = [] if least is None else await session.rows(sql.load("undo/rewritten"), asked)
    statements = [f"DELETE FROM ONLY {name}" for name in slow]  # noqa: S608 - names quoted by Postgres
    statements += [row["statement"] for row in found]
    statements += [f"TRUNCATE ONLY {', '.join(sorted(quick))}"] if quick else []
    return _Emptying(statements=tuple(statements), fresh=len(found) == len(slow))


def _rows_of(archive: Sequence[Entry], case: _Case) -> set[int]:
    """The archive's entries with the rows of tables that are refilled."""
    wanted = {case.before[_relation(name)].objid for name in case.again}
    return {one.dump_id for one in archive if one.desc == "TABLE DATA" and one.objid in wanted}


def _relation(table: str) -> str:
    return f"relation:{table}"


def _table(relation: str) -> str:
    return relation.removeprefix("relation:")
