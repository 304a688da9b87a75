"""Rung 4: the application's schemas, and what hangs on them outside, brought back from a backup, in place.

One transaction does it all, so a restore that fails has changed nothing, and one that was cut off is run again. Where
the server has no room for so many locks it takes several, kept in a journal, so that one that was cut off goes on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

from agent import sql
from agent.core import backups as core
from agent.core import lock_room
from agent.core.ahead import Table
from agent.core.archive_list import Entry, as_listing, belongings, entries, fast_order, split_at_rows
from agent.core.backups import Manifest
from agent.core.catalog import CatalogObject, in_place
from agent.core.large_objects import Goal, arrived
from agent.core.models import BackupRecord, EventKind, Severity, Snapshot
from agent.core.restore_failures import refuse_newer_server
from agent.core.restore_sql import as_members, reading_checks
from agent.core.undo import owners_let_in, validated_apart
from agent.core.units import count
from agent.deploy import large_objects, outside
from agent.deploy.ahead import loaded_ahead, move
from agent.deploy.archive import BackupOptions, load_manifest, opened
from agent.deploy.beside import together
from agent.deploy.carrying import Batch, Carrying, end_leftovers, script, unfinished
from agent.deploy.emitter import Emit, tell
from agent.deploy.late import Guard
from agent.deploy.renamed import renamed, seen_as_before
from agent.deploy.snapshot import application_schemas, backup_catalog, read_large_objects, read_objects
from agent.errors import BackupError, TargetError
from agent.ports import Clock, ObjectStore, PgTools, Session, Target


async def restore_in_place(
    *,
    target: Target,
    tools: PgTools,
    objects: ObjectStore,
    backup: BackupRecord,
    options: BackupOptions,
    clock: Clock,
    purpose: str,
    emit: Emit,
    last: str = "",
    guard: Guard | None = None,
    shared: bool = True,
    large: Sequence[Goal] | None = None,
    present: Mapping[str, str] | None = None,
    names: Sequence[str] | None = None,
) -> None:
    """Bring the application's schemas back to a backup.

    What the application wrote since is lost, but for what salvage and guard keep. Sessions of the agent that still do
    something in the database are ended first. Whoever else holds a lock is waited for, `lock_attempts` times
    `lock_timeout_s`, and named.

    Args:
        purpose: the sessions' name, as in `Target.connect`.
        last: SQL that ends the restore's transaction.
        guard: keeps what is written until the restore has its locks.
        shared: also what is the database's or the server's, such as settings of roles. Not for an old backup: what
            people have set since would be lost.
        large: what is done with large objects; None: those of the backup come back, and newer ones stay.
        present: for that, the large objects that are there, kept in another backup; None: look. What differs from
            it stays.
        names: SQL that gives what was renamed its name back; None: schemas get theirs.

    Raises:
        BackupError: `backup.damaged` and its kin: the backup cannot be used.
        TargetError: `restore.dependents`, `restore.locked`, `restore.out_of_locks`.
        StatementError: the database refused a statement.
            In each case nothing was changed, or, of a restore in several transactions, what has committed stays, and
            the next call goes on from there.
    """
    manifest = await load_manifest(objects, backup)
    async with (
        opened(objects, manifest, options, only=core.needed_in_place) as folder,
        target.session(purpose=purpose) as session,
    ):
        await end_leftovers(session, clock, emit)
        carrying = Carrying(
            target=target,
            tools=tools,
            archive=folder / core.APPLICATION,
            options=options,
            purpose=purpose,
            clock=clock,
            emit=emit,
        )
        staged = partial(large_objects.staged, session, objects=objects, manifest=manifest, options=options)
        if await unfinished(session) == manifest.id:
            async with staged(None):
                await carrying.resume(manifest.id)
        else:
            if large is None:
                async with session.transaction(read_only=True, repeatable=True):
                    known = await backup_large_objects(folder)
                    large = await large_objects.plan(session, known, large_objects.Rules(), now=present)
            last = script(large_objects.put(session, large), last)
            if names is None:
                names = (await renamed(session, manifest, folder, tables=False)).statements
            if names:
                async with seen_as_before(session, names, options):
                    plan = await _plan(session, tools, manifest, folder, last=last, guard=guard, shared=shared)
                plan = replace(plan, untie=[*names, *plan.untie])
            else:
                plan = await _plan(session, tools, manifest, folder, last=last, guard=guard, shared=shared)
            for line in plan.left_alone:
                tell(emit, clock, EventKind.LOG, f"left alone, since it is not ours: {line}", severity=Severity.WARNING)
            async with staged(large):
                await _run(plan, carrying, session, journal=manifest.id)
        await analyse(target, purpose=purpose, jobs=options.jobs, schemas=manifest.schemas)
    tell(emit, clock, EventKind.LOG, f"restored backup {backup.id}: {', '.join(manifest.schemas)}", backup=backup.id)


async def backup_large_objects(folder: Path) -> dict[str, str] | None:
    """The large objects in a backup's snapshot, as `Snapshot` has them; None: an earlier version of the agent took it.

    Args:
        folder: the backup's files.
    """
    file = folder / core.SNAPSHOT
    if not await asyncio.to_thread(file.exists):
        return None
    return Snapshot.model_validate_json(await asyncio.to_thread(file.read_bytes)).large_objects


async def history_rows(session: Session, folder: Path) -> str:
    """SQL that gives the history table the rows that it had; "" if there is no such table."""
    if not await session.value(sql.load("backup/history_exists")):
        return ""
    history = folder / core.HISTORY_SQL
    return await asyncio.to_thread(history.read_text) if history.exists() else sql.load("restore/history")


# What must be there before the schemas' contents: types come from extensions, and owners must be let in.
_EARLY = outside.FIRST | {"schema owner", "schema comment", "schema privileges"}


class _Drop(NamedTuple):
    """A statement; `table`: the OID of the one that it drops."""

    statement: str
    table: int | None


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What a restore does, in the order of these fields.

    SQL of `untie`, `empty` (each statement with its locks) and `first`; the archive's entries `made`; SQL of
    `unchecked`; the entries `filled`; SQL of `last`. `left_alone` is for people.
    `guard` makes the SQL that comes before tables, by OID, are emptied. `replaces`: the journal of another restore is
    there, which nobody can go on with after this one. `names`: of tables, by the OIDs that they had.
    """

    untie: list[str]
    guard: Callable[[list[int]], str]
    empty: list[tuple[_Drop, int]]
    first: list[str]
    made: Sequence[Entry]
    unchecked: list[str]
    filled: Sequence[Entry]
    last: list[str]
    room: int
    to_drop: int
    left_alone: list[str]
    replaces: bool
    names: Mapping[int, str]

    @property
    def locks(self) -> int:
        """Those that it takes in one transaction."""
        return self.to_drop + lock_room.to_make([*self.made, *self.filled])

    def without(self, tables: Sequence[Table]) -> _Plan:
        """The same where these tables have been loaded ahead, and only have to be moved to their place."""
        taken = {number for table in tables for number in table.taken}
        return replace(
            self,
            first=[*self.first, *(move(table) for table in tables)],
            made=[entry for entry in self.made if entry.dump_id not in taken],
            filled=[entry for entry in self.filled if entry.dump_id not in taken],
        )

    def whole(self) -> Batch:
        """All of it in one transaction; rights come last, since an owner may have taken its own away."""
        rights = [entry for entry in self.made if entry.desc == "ACL"]
        return Batch(
            name="everything",
            before=script(*self.untie, self._emptied([drop for drop, _ in self.empty]), *self.first),
            listing=as_listing(entry for entry in self.made if entry.desc != "ACL"),
            between=script(*self.unchecked),
            rest=as_listing([*self.filled, *rights]),
            after=script(*self.last) + (sql.load("restore/journal_close") if self.replaces else ""),
        )

    def parts(self) -> list[Batch]:
        """The same in transactions that fit into the server's room for locks."""
        drops = [self._emptied(part) for part in lock_room.cut_drops(self.empty, room=self.room)]
        made, made_rights = lock_room.rights_apart(self.made)
        filled, filled_rights = lock_room.rights_apart(self.filled)

        def batches(name: str, entries: Sequence[Entry]) -> list[Batch]:
            parts = lock_room.cut(entries, room=self.room)
            return [Batch(name=name, before="", listing=as_listing(part), after="") for part in parts]

        return [
            Batch(name="untie", before=script(*self.untie), listing="", after=""),
            *(Batch(name="empty", before=part, listing="", after="") for part in drops),
            Batch(name="extensions", before=script(*self.first), listing="", after=""),
            *batches("make", made),
            Batch(name="checks", before=script(*self.unchecked), listing="", after=""),
            *batches("fill", filled),
            *batches("rights", [*made_rights, *filled_rights]),
            Batch(name="tie", before="", listing="", after=script(*self.last)),
        ]

    def _emptied(self, drops: Sequence[_Drop]) -> str:
        tables = [drop.table for drop in drops if drop.table is not None]
        return script(self.guard(tables), *(drop.statement for drop in drops))


async def _run(plan: _Plan, carrying: Carrying, session: Session, *, journal: str) -> None:
    """In one transaction where locks allow, else in several."""
    if plan.locks <= plan.room:
        try:
            order = [*plan.made, *plan.filled]
            async with loaded_ahead(order, session=session, carrying=carrying, names=plan.names) as tables:
                await carrying.carry_out([plan.without(tables).whole()])
        except TargetError as error:
            if error.code != "restore.out_of_locks":
                raise
        else:
            return
    batches = plan.parts()
    message = (
        f"one transaction would take {plan.locks:,} locks, and the server has room for {plan.room:,}: the restore runs "
        f"in {len(batches)} transactions. Until the last of them the application finds only a part of its tables"
    )
    tell(carrying.emit, carrying.clock, EventKind.LOG, message, severity=Severity.WARNING)
    await carrying.carry_out(batches, journal=journal)


async def _plan(
    session: Session, tools: PgTools, manifest: Manifest, folder: Path, *, last: str, guard: Guard | None, shared: bool
) -> _Plan:
    """Compare what there is with what there was."""
    listing = await tools.listing(folder / core.APPLICATION)
    [facts] = await session.rows(sql.load("backup/facts"), {"schemas": list(manifest.schemas)})
    refuse_newer_server(manifest, facts["server_major"])
    new = [name for name in await application_schemas(session, ()) if name not in manifest.all_schemas]
    scope = {"schemas": [*manifest.schemas, *new]}
    await refuse_dependents(session, scope)
    [locks] = await session.rows(sql.load("restore/locks"), scope)
    contents = await session.rows(sql.load("restore/contents"), scope)
    left_alone = await session.rows(sql.load("restore/left_alone"), scope)
    held, now = await outside.by_deploy(
        session,
        await outside.stored(folder, shared=shared),
        await outside.read_outside(session, scope["schemas"], shared=shared),
    )
    theirs = await outside.publications_of_others(session)
    dropped, made = core.outside_changes(held, now)
    archive = entries(listing)
    chosen = core.choose_entries(
        listing, existing_schemas=manifest.schemas, foreign_owners={row["owner"] for row in left_alone}
    )
    lines = set(chosen.split("\n"))
    staying = {(row["classid"], row["objid"]) for row in await session.rows(sql.load("restore/kept"), scope)}
    stays = belongings(archive, _live(archive, staying))
    wanted = fast_order(entry for entry in archive if entry.line in lines and entry.dump_id not in stays)
    order, granted = await granted_on(tools, folder / core.APPLICATION, wanted)
    known = await asyncio.to_thread((folder / core.CATALOG).exists)  # not in backups of an earlier version
    catalog = await backup_catalog(folder) if known else {}
    checks = reading_checks(catalog)
    async with session.transaction(read_only=True):
        present = await read_objects(session, scope["schemas"]) if catalog else {}
    split, (let_in, shut) = split_at_rows(order), owners_let_in(catalog)
    drop_schema, make_schema = sql.load("restore/drop_schema"), sql.load("aside/make_schema")
    return _Plan(
        untie=[outside.gone(session, item, theirs) for item in reversed(dropped) if item.kind not in outside.FIRST],
        guard=lambda tables: guard.script(session, tables) if guard else "",
        empty=[(_Drop(row["statement"], row["relation"]), row["locks"]) for row in contents],
        first=[
            *(item.drop for item in reversed(dropped) if item.kind in outside.FIRST),  # contents depend on them
            *(session.bind(drop_schema, {}, names={"schema": name}) for name in new),
            *(
                session.bind(make_schema, {}, names={"schema": name})
                for name in manifest.schemas
                if name not in facts["schemas"]
            ),
            *(item.create for item in made if item.kind in _EARLY),
            *let_in,
        ],
        made=split[0],
        unchecked=[item.drop for item in checks],
        filled=split[1],
        last=[
            *(_checked(session, item) for item in checks),
            *granted,
            *(outside.made(session, item, theirs) for item in made if item.kind not in _EARLY),
            *_set_back(catalog, present, staying),
            *shut,
            *validated_apart(catalog, catalog),
            await history_rows(session, folder),
            sql.load("restore/reload"),
            last,
        ],
        room=lock_room.room(places=locks["places"], taken=locks["taken"]),
        to_drop=locks["to_drop"],
        left_alone=[
            *(f"{row['object']} of {row['owner']}" for row in left_alone),
            *(f"{item.kind} {item.name}" for item in made if item.create.startswith(theirs)),
        ],
        replaces=await session.value(sql.load("restore/journal_exists")),
        names={one.objid: one.identity.removeprefix("relation:") for one in catalog.values() if one.kind == "table"},
    )


def _set_back(
    before: Mapping[str, CatalogObject], now: Mapping[str, CatalogObject], staying: Collection[tuple[int, int]]
) -> Iterator[str]:
    """SQL that gives schemas, and what must stay, the settings that they had: also what their owner may do."""
    for name, item in before.items():
        there = now.get(name)
        if item.kind == "schema" and there is None:
            yield from item.settings.values()
        elif there and (_own_rights_differ(item, there) or _stays(item, there, staying)):
            for statements in in_place(item, there):
                yield from statements


def _own_rights_differ(before: CatalogObject, now: CatalogObject) -> bool:
    """Whether a schema's owner had, or has, taken rights from itself: of grants to others `outside` has all."""
    return before.kind == "schema" and any(one.settings.get("acl", "").startswith("REVOKE ") for one in (before, now))


def _stays(before: CatalogObject, now: CatalogObject, staying: Collection[tuple[int, int]]) -> bool:
    return (now.classid, now.objid) in staying and now.definition == before.definition


def _live(archive: Sequence[Entry], objects: Collection[tuple[int, int]]) -> set[int]:
    return {entry.dump_id for entry in archive if (entry.classid, entry.objid) in objects}


async def granted_on(tools: PgTools, archive: Path, order: list[Entry]) -> tuple[list[Entry], tuple[str, ...]]:
    """Rights that another role than the owner has granted: pg_restore would become that role as only a superuser may.

    Returns:
        The entries that are left to pg_restore, and SQL for the others.
    """
    rights = [entry for entry in order if entry.desc == "ACL"]
    statements = as_members(await tools.script(archive, as_listing(rights))) if rights else ()
    return ([entry for entry in order if entry.desc != "ACL"] if statements else order), statements


def _checked(session: Session, item: CatalogObject) -> str:
    """SQL that makes a check again; rows that it does not hold for stay, and the check stays unvalidated."""
    tried = session.bind(sql.load("restore/check"), {"statement": item.create, "unchecked": f"{item.create} NOT VALID"})
    made = session.bind(sql.load("restore/do"), {"body": tried})
    return ";\n".join([made, *item.settings.values()])


async def refuse_dependents(session: Session, scope: dict[str, list[str]]) -> None:
    """Refuse to drop what others need that could not be brought back.

    Args:
        scope: `schemas`, whose contents are to be dropped.

    Raises:
        TargetError: `restore.dependents`.
    """
    async with outside.qualified_names(session):
        found = await session.rows(sql.load("restore/blockers"), scope)
    if found:
        names = "; ".join(f"{row['object']} needs {row['needs']}" for row in found[:5])
        raise TargetError(
            f"{len(found)} objects that the backup does not hold depend on what would be restored: {names}",
            code="restore.dependents",
            hint="Drop them, or move them into a schema of the application, then restore again with "
            "`deploy-agent restore`. Nothing was changed.",
        )


async def analyse(
    target: Target, *, purpose: str, jobs: int, schemas: Sequence[str] = (), tables: Sequence[str] = ()
) -> None:
    """Statistics for the planner, which a restored table lacks: of the columns in keys; autovacuum does the rest.

    Args:
        purpose: the sessions' name, as in `Target.connect`.
        jobs: sessions at once.
        schemas: all tables in them.
        tables: more of them, by qualified name.

    Raises:
        StatementError: the database refused one.
    """
    async with target.session(purpose=purpose) as session:
        rows = await session.rows(sql.load("restore/to_analyze"), {"schemas": list(schemas), "tables": list(tables)})
    left = iter([row["statement"] for row in rows])

    async def work() -> None:
        async with target.session(purpose=purpose) as session:
            for statement in left:
                await session.run(statement)

    await together(work() for _ in range(min(jobs, len(rows))))


async def restore_scratch(
    *,
    target: Target,
    tools: PgTools,
    objects: ObjectStore,
    manifest: Manifest,
    folder: Path,
    options: BackupOptions,
) -> None:
    """Restore into a scratch database, count what arrived, and compare large objects.

    Args:
        target: an empty Supabase-like database, as a superuser; `tools` for the same.
        objects: where the backup lies.
        folder: its files, plain.

    Raises:
        BackupError: `backup.counts_differ`.
        StatementError: the scratch database refused a statement.
    """
    listing = await tools.listing(folder / core.APPLICATION)
    async with target.session(purpose="verify") as session:
        [facts] = await session.rows(sql.load("backup/facts"), {"schemas": []})
        for role in sorted(set(manifest.roles) - set(facts["roles"])):
            await session.run(sql.load("restore/stub_role"), names={"role": role})
        before = [sql.load("restore/begin"), await asyncio.to_thread((folder / core.BEFORE_SQL).read_text)]
        entries = core.choose_entries(listing, existing_schemas=facts["schemas"], without_keys=manifest.untied_keys)
        known = await backup_large_objects(folder) or {}
        goals = await large_objects.plan(session, known, large_objects.Rules())
        async with large_objects.staged(session, goals, objects=objects, manifest=manifest, options=options):
            await tools.restore(
                archive=folder / core.APPLICATION,
                listing=entries,
                before="\n".join(before),
                after=script(large_objects.put(session, goals)),
            )
        held, there, _ = arrived(known, await read_large_objects(session, contents=True))
        found = {}
        for row in await session.rows(sql.load("restore/tables"), {"schemas": list(manifest.schemas)}):
            name = await session.value(sql.load("restore/qualified"), row)
            found[name] = await session.value(sql.load("backup/count"), names={"table": (row["schema"], row["name"])})
    wrong = [
        f"{name} has {found.get(name, 'no')} rows, {rows} were backed up"
        for name, rows in sorted(manifest.rows.items())
        if found.get(name) != rows
    ]
    wrong += [f"large object {name} is another" for name, digest in held.items() if there[name] != digest]
    if wrong:
        raise BackupError(
            f"the restored backup differs in {count(len(wrong), 'place')}: {'; '.join(wrong[:5])}",
            code="backup.counts_differ",
            hint="Do not rely on this backup: take a new one, and report this with both manifests.",
        )
