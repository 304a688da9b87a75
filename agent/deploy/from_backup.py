"""Rungs 3 and 4 of the ladder: what the deploy changed, or everything, comes back from the backup."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from agent import sql
from agent.core import backups as core
from agent.core.backups import Manifest
from agent.core.compare import Differences
from agent.core.large_objects import Goal
from agent.core.models import BackupRecord, EventKind, Failure, Proposal, SequencePlace, Severity
from agent.core.renamed import Names
from agent.core.restore_policy import RUNG_NAMES, estimate_seconds
from agent.core.salvage import place
from agent.deploy import large_objects
from agent.deploy.approval import permitted, rungs_tried
from agent.deploy.archive import load_manifest, opened
from agent.deploy.carrying import Carrying, script
from agent.deploy.deps import Run, failure_of
from agent.deploy.ladder import compare, files_noted, report_rung, shut_out
from agent.deploy.late import Guard, guard_from_here, keep_late
from agent.deploy.renamed import renamed, seen_as_before
from agent.deploy.restore import analyse, restore_in_place
from agent.deploy.salvage import Taken, new_id, take_salvage
from agent.deploy.snapshot import advance_sequences, proof, read_proof, read_sequences
from agent.deploy.targeted import ORPHANED, NotPossible, Work, compose, naming_tables
from agent.errors import AgentError, StatementError
from agent.ports import Session

TARGETED, IN_PLACE = 3, 4
_ROUNDS = 5
_TOLD = 50  # lines


@dataclass(kw_only=True)
class _Source:
    """The deploy's own backup, and what the database had that it has not."""

    record: BackupRecord
    manifest: Manifest
    taken: Taken | None = None


async def restore(run: Run) -> Failure | None:
    """Climb the rungs that are left, within the policy.

    Returns:
        None if the database is proven to be as before, else why it is not.

    Raises:
        Stop: the policy leaves it to people, or they said no.
    """
    deploy = await run.deps.store.get(run.deploy_id)
    records = {one.id: one for one in await run.deps.store.backups()}
    if (record := records.get(deploy.backup_id)) is None:
        return Failure(cause="agent", code="restore.no_backup", message=f"the backup {deploy.backup_id!r} is not known")
    try:
        source = _Source(record=record, manifest=await load_manifest(run.deps.objects, record))
        session = await shut_out(run)
        noted = bool(await session.value(sql.load("ledger/exists")))
        await _keep_late(run)  # of a restore that was cut off
    except AgentError as error:
        return failure_of(error)
    tried = await rungs_tried(run)
    if IN_PLACE in tried:  # by a worker before this one
        return Failure(
            cause="agent",
            code="restore.repeated",
            message="the in-place restore has been tried already, and the ladder never goes back",
            hint=f"Run `deploy-agent restore {record.id}` when you have decided.",
        )
    if (
        noted
        and run.deps.options.targeted_restore
        and max(tried, default=0) < TARGETED
        and (found := await _targeted(run, source)) is not None
    ):
        if found.none:
            return None
        if found.beyond_backups:
            message = (
                f"the {RUNG_NAMES[IN_PLACE]} is left out: what differs is in no backup, and it would take back more"
            )
            run.emitter.emit(EventKind.LOG, message, severity=Severity.WARNING)
            return _not_proven(found)
    return await _everything(run, source, noted=noted)


async def _targeted(run: Run, source: _Source) -> Differences | None:
    """Rung 3: what differs after it; None: it could not be done."""
    assert run.before is not None  # noqa: S101 - set before migrate
    try:
        work = await _carried_out(run, source)
        session = await run.session()
        proven = await read_proof(session)
        found = await compare(run, session, tables={name: proven[name] for name in work.tables if name in proven})
        await _analyse(run, work)
    except NotPossible as reason:
        _not_done(run, TARGETED, f"is not possible: {reason}")
        return None
    except AgentError as error:
        _not_done(run, TARGETED, f"failed: {error.message}")
        return None
    told = f"{RUNG_NAMES[TARGETED]}: the schema and all tables that the deploy wrote to equal the snapshot"
    report_rung(run, TARGETED, RUNG_NAMES[TARGETED], found, message=told if found.none else "")
    await _keep_late(run)
    return found


async def _analyse(run: Run, work: Work) -> None:
    """Statistics for what was loaded. Without them the database is right, if slower: autovacuum makes them later."""
    try:
        await analyse(run.deps.target, purpose=run.purpose, jobs=run.deps.backup.jobs, tables=work.tables)
    except AgentError as error:
        message = f"statistics of the restored tables could not be made: {error.message}"
        run.emitter.emit(EventKind.LOG, message, severity=Severity.WARNING)


async def _carried_out(run: Run, source: _Source) -> Work:
    """Once more with the tables whose rows, written by the application, point at rows that the backup does not have."""
    also: set[str] = set()
    async with opened(
        run.deps.objects,
        source.manifest,
        run.deps.backup,
        only=core.needed_in_place,
    ) as folder:
        carrying = Carrying(
            target=run.deps.target,
            tools=run.deps.tools,
            archive=folder / core.APPLICATION,
            options=run.deps.backup,
            purpose=run.purpose,
            clock=run.deps.clock,
            emit=run.emitter.put,
        )
        for _ in range(_ROUNDS):
            work = await _permitted(run, source, folder, also)
            staged = large_objects.staged(
                await run.session(),
                work.large,
                objects=run.deps.objects,
                manifest=source.manifest,
                options=run.deps.backup,
            )
            try:
                async with staged:
                    await carrying.carry_out([work.batch])
            except StatementError as error:
                if error.sqlstate != ORPHANED:
                    raise
                also |= set(json.loads(error.detail))
            else:
                source.taken = None  # its rows are nowhere else now: a rung after this one must not replace it
                return work
    raise NotPossible(f"the application goes on writing rows that point at lost ones: {', '.join(sorted(also))}")


async def _permitted(run: Run, source: _Source, folder: Path, also: Collection[str]) -> Work:
    """What rung 3 does, once it may; what was found out before people were waited for is found out again."""
    assert run.before is not None  # noqa: S101 - set before migrate
    while True:
        session = await run.session()
        names = await _names(run, session, source, folder, chosen=run.deps.options.schemas)
        async with _as_before(run, session, names):
            guard = await _guard(run, session, source)
            work = await _composed(run, session, source, folder, also=also, guard=guard, names=names.statements)
            work = work.with_large_objects(session, await _large_objects(run, session, everything=False))
            await _salvage(run, session, source, work.present, work.large, names=names)
        _tell_dangling(run, work.dangling)
        waited = await permitted(run, _proposal(run, source, TARGETED, undone=work.undone, tables=work.tables))
        if not waited:
            return work


async def _names(run: Run, session: Session, source: _Source, folder: Path, *, chosen: Sequence[str] = ()) -> Names:
    """What gives what was renamed its name back: as much of it as the database takes."""
    names = await renamed(session, source.manifest, folder, chosen=chosen, tables=True)
    try:
        async with _as_before(run, session, names):
            return names
    except StatementError as error:
        schemas = await renamed(session, source.manifest, folder, chosen=chosen, tables=False)
        if names == schemas:
            raise
        message = f"tables or columns cannot be renamed back, so what was renamed is made again: {error.message}"
        run.emitter.emit(EventKind.LOG, message, severity=Severity.WARNING)
        return schemas


def _as_before(run: Run, session: Session, names: Names) -> AbstractAsyncContextManager[None]:
    return seen_as_before(session, names.statements, run.deps.backup, repeatable=True)


async def _composed(
    run: Run,
    session: Session,
    source: _Source,
    folder: Path,
    *,
    also: Collection[str],
    guard: Guard,
    names: Sequence[str],
) -> Work:
    try:
        return await compose(run, session, manifest=source.manifest, folder=folder, also=also, guard=guard, names=names)
    except (NotPossible, AgentError):
        raise
    except Exception as error:
        raise NotPossible(f"the agent has a bug, please report it: {type(error).__name__}: {error}") from error


async def _everything(run: Run, source: _Source, *, noted: bool) -> Failure | None:
    """Rung 4: the application's schemas, and what hangs on them outside."""
    assert run.before is not None  # noqa: S101 - set before migrate
    try:
        await _keep_late(run)  # of rung 3, if nobody knows how it ended
        planned = await _permitted_in_place(run, source)
        session = await run.session()
        advanced = advance_sequences(session, planned.sequences) if planned.sequences else ""
        await restore_in_place(
            target=run.deps.target,
            tools=run.deps.tools,
            objects=run.deps.objects,
            backup=source.record,
            options=run.deps.backup,
            clock=run.deps.clock,
            purpose=run.purpose,
            emit=run.emitter.put,
            last=script(advanced, proof(session, run.before) if noted else ""),
            guard=planned.guard,
            large=planned.large,
            names=planned.names,
        )
        session = await run.session()
        proven = await read_proof(session) if noted else {}
        found = await compare(run, session, tables=proven if run.before.tables.keys() <= proven.keys() else None)
    except AgentError as error:
        _not_done(run, IN_PLACE, f"failed: {error.message}")
        return failure_of(error)
    proven_whole = report_rung(run, IN_PLACE, RUNG_NAMES[IN_PLACE], found)
    await _keep_late(run)
    return None if proven_whole else _not_proven(found)


@dataclass(frozen=True, kw_only=True)
class _InPlace:
    """What rung 4 is run with. `sequences`: where those stand that rows in the salvage may have numbers of."""

    guard: Guard
    large: list[Goal]
    names: Sequence[str]
    sequences: Mapping[str, SequencePlace]


async def _permitted_in_place(run: Run, source: _Source) -> _InPlace:
    """What rung 4 does, once it may."""
    assert run.before is not None  # noqa: S101 - set before migrate
    deploy = await run.deps.store.get(run.deploy_id)
    undone = tuple(f"migration {version}" for version in deploy.versions)
    while True:
        session = await run.clean_session()
        await _tell_taken_back(run, session)
        only_catalog = opened(
            run.deps.objects, source.manifest, run.deps.backup, only=lambda name: name == core.CATALOG
        )
        async with only_catalog as folder:
            names = await _names(run, session, source, folder)
        async with _as_before(run, session, names):
            guard = await _guard(run, session, source)
            large = await _large_objects(run, session, everything=True)
            await _salvage(run, session, source, None, large, names=names)
            schemas = list(source.manifest.schemas)
            salvaged = source.taken is not None and source.taken.salvage is not None
            sequences = await read_sequences(session, schemas) if salvaged else {}
            oids = [row["oid"] for row in await session.rows(sql.load("undo/objects"), {"schemas": schemas})]
            dangling = await naming_tables(session, schemas, oids, inside=False)
        _tell_dangling(run, dangling)
        waited = await permitted(run, _proposal(run, source, IN_PLACE, undone=undone, tables=run.before.tables))
        if not waited:
            return _InPlace(guard=guard, large=large, names=names.statements, sequences=sequences)


async def _tell_taken_back(run: Run, session: Session) -> None:
    """Whose rows are not as before. Only to tell: a table whose index calls what is gone cannot even be read."""
    try:
        lines = (await compare(run, session)).content
    except StatementError as error:
        message = f"whose rows the restore takes back cannot be told: {error.message}"
        run.emitter.emit(EventKind.LOG, message, severity=Severity.WARNING)
        return
    for line in lines[:_TOLD]:
        run.emitter.emit(EventKind.LOG, f"the restore takes back: {line}", severity=Severity.WARNING)
    if (more := len(lines) - _TOLD) > 0:
        message = f"the restore takes back the content of {more:,} more tables"
        run.emitter.emit(EventKind.LOG, message, severity=Severity.WARNING)


def _tell_dangling(run: Run, tables: Collection[str]) -> None:
    """Rows in no backup, of which people must know: nobody but their owner can put them right."""
    for name in sorted(tables):
        message = (
            f"rows of {name} name by OID what the restore makes anew: they point nowhere afterwards"
            f"{'; clients of Realtime must subscribe again' if name == 'realtime.subscription' else ''}"
        )
        run.emitter.emit(EventKind.LOG, message, severity=Severity.WARNING, table=name)


async def _salvage(
    run: Run,
    session: Session,
    source: _Source,
    tables: Collection[str] | None,
    large: Collection[Goal],
    *,
    names: Names,
) -> None:
    """Keep what the application wrote, in place of what was kept for a try before this one.

    Args:
        large: what is done with large objects.
        names: what has given it the names that it has; only this session sees it so.
    """
    earlier = source.taken
    source.taken = await take_salvage(
        session=session,
        target=None if names.statements else run.deps.target,
        purpose=run.purpose,
        objects=run.deps.objects,
        manifest=source.manifest,
        options=run.deps.backup,
        deploy_id=run.deploy_id,
        tables=tables,
        large=large,
        called=names.called,
        clock=run.deps.clock,
        emit=run.emitter.put,
    )
    if earlier is not None and earlier.salvage is not None:
        await run.deps.objects.delete(place(earlier.salvage))


async def _large_objects(run: Run, session: Session, *, everything: bool) -> list[Goal]:
    """What is done with large objects; those that are gone also come back, should all rows that name them do."""
    assert run.before is not None  # noqa: S101 - set before migrate
    wrote = large_objects.written(await files_noted(run, session))
    rules = large_objects.Rules(deploy_id=run.deploy_id, wrote=wrote, missing=wrote or everything)
    return await large_objects.plan(session, run.before.large_objects, rules)


async def _guard(run: Run, session: Session, source: _Source) -> Guard:
    salvage = new_id(run.deps.clock)
    return await guard_from_here(session, salvage=salvage, deploy_id=run.deploy_id, backup_id=source.manifest.id)


async def _keep_late(run: Run) -> None:
    """What was written after the salvage, and noted by the restore."""
    await keep_late(
        await run.session(),
        objects=run.deps.objects,
        options=run.deps.backup,
        project=run.deps.options.project,
        clock=run.deps.clock,
        emit=run.emitter.put,
    )


def _proposal(run: Run, source: _Source, rung: int, *, undone: Iterable[str], tables: Iterable[str]) -> Proposal:
    assert run.before is not None  # noqa: S101 - set before migrate
    sizes = {name: mark.bytes for name, mark in run.before.tables.items()}
    taken, again = source.taken, tuple(tables)
    salvage = taken.salvage if taken else None
    return Proposal(
        rung=rung,
        backup_id=source.record.id,
        undone=tuple(undone),
        tables=again,
        rows_salvaged=salvage.rows if salvage else 0,
        lost_unknown=taken is not None and taken.others,
        seconds=estimate_seconds(source.manifest, sizes, again),
    )


def _not_done(run: Run, rung: int, why: str) -> None:
    report_rung(run, rung, RUNG_NAMES[rung], None, message=f"{RUNG_NAMES[rung]} {why}")


def _not_proven(found: Differences) -> Failure:
    return Failure(
        cause="agent",
        code="restore.not_proven",
        message=f"restored, but not equal to the snapshot: {'; '.join(found.all[:5])}",
        hint="Compare the named objects with the backup before you let the application write again."
        if len(found.outside) < len(found.all)
        else "The application's schemas are as before. What is named here lies outside them: look at it, and undo by "
        "hand what the migrations did there.",
    )
