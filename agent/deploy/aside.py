"""Side by side: a backup restored into another database, in parallel, and compared with what it was taken from.

An empty database is filled by several connections at once; what a failed attempt has made there is removed again. One
that is not empty is replaced in one transaction, so that a failure leaves it as it was.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from agent import sql
from agent.core import aside as core
from agent.core import backups
from agent.core.archive_list import as_listing, entries, fast_order
from agent.core.aside import Aside
from agent.core.backups import Manifest, OutsideObject
from agent.core.large_objects import Goal
from agent.core.models import BackupRecord, EventKind
from agent.core.restore_failures import named
from agent.core.statements import dollar_tag
from agent.deploy import large_objects, outside
from agent.deploy.archive import BackupOptions, load_manifest, opened
from agent.deploy.aside_check import Checked, check
from agent.deploy.aside_target import Other, refuse_the_source, survey
from agent.deploy.carrying import Batch, Carrying, end_leftovers
from agent.deploy.emitter import Emit, tell
from agent.deploy.restore import backup_large_objects, refuse_dependents
from agent.errors import AgentError, StatementError, TargetError
from agent.ports import Clock, ObjectStore, PgTools, Session, Target

_PURPOSE = "restore-aside"


@dataclass(kw_only=True)
class _Work:
    """One restore into another database."""

    target: Target
    tools: PgTools
    manifest: Manifest
    folder: Path
    other: Other
    options: BackupOptions
    jobs: int
    clock: Clock
    emit: Emit
    parts: core.Parts
    before: list[OutsideObject]
    objects: ObjectStore
    large: list[Goal]
    filled: list[tuple[str, str]] = field(default_factory=list)


async def restore_aside(
    *,
    source: Target | None,
    target: Target,
    tools: PgTools,
    objects: ObjectStore,
    backup: BackupRecord,
    options: BackupOptions,
    overwrite: bool,
    jobs: int,
    clock: Clock,
    emit: Emit,
) -> Aside:
    """Restore a backup into another database, and compare rows, contents and catalog with the backup's snapshot.

    Args:
        source: the database that the agent is set up for; None: do not look whether it is the same.
        target: the other one; `tools` for the same.
        overwrite: it may hold something, which is replaced.
        jobs: connections at once.

    Raises:
        BackupError: the backup cannot be used.
        TargetError: the database is refused, or refuses. It is as it was, except after `restore.differs` (restored,
            but not equal to the snapshot) and `restore.left_behind` (what was made could not be removed).
        StatementError: the database refused a statement; it is as it was.
    """
    began = clock.now()
    manifest = await load_manifest(objects, backup)
    if source is not None:
        await refuse_the_source(source, target, manifest, clock, emit)
    async with target.session(purpose=_PURPOSE) as session:
        other = await survey(session, manifest, schemas=options.schemas, overwrite=overwrite)
    tell(emit, clock, EventKind.LOG, f"reading backup {manifest.id}", backup=manifest.id)
    async with opened(objects, manifest, options, only=lambda name: name != backups.LARGE_OBJECTS) as folder:
        listing = await tools.listing(folder / backups.APPLICATION)
        work = _Work(
            target=target,
            tools=tools,
            manifest=manifest,
            folder=folder,
            other=other,
            options=options,
            jobs=jobs,
            clock=clock,
            emit=emit,
            parts=core.divide(listing, manifest, foreign_owners=other.foreign_roles),
            before=await outside.stored(folder, shared=False),
            objects=objects,
            large=await _large_objects(target, folder, overwrite=overwrite),
        )
        checked = await (_fill_empty(work) if other.empty else _replace(work))
    if checked.differences:
        raise _differs(work, checked)
    return Aside(
        backup_id=manifest.id,
        target=target.label,
        tables=checked.tables,
        rows=checked.rows,
        seconds=(clock.now() - began).total_seconds(),
        replaced=not other.empty,
        filled=tuple(f"{schema}.{name}" for schema, name in work.filled),
        left_out=(*work.parts.left_out, *checked.missing),
        unchecked_keys=checked.unchecked_keys,
    )


async def _fill_empty(work: _Work) -> Checked:
    dropped, made = core.in_the_way(work.before, work.other.outside)
    async with _or_nothing(work):
        async with work.target.session(purpose=_PURPOSE) as session:
            await session.run_transaction([_begin(session, work), *_first(session, work, dropped, made)])
            await _fill_managed(session, work)
        await _load(work)
        async with work.target.session(purpose=_PURPOSE) as session, _staged(session, work):
            await session.run_transaction([_begin(session, work), *await _last(session, work, made)])
        return await _check(work)


@asynccontextmanager
async def _or_nothing(work: _Work) -> AsyncIterator[None]:
    """What fails in here, or is broken off, leaves the database as empty as it was."""
    try:
        yield
    except BaseException as error:
        tell(work.emit, work.clock, EventKind.LOG, "the restore failed; what it has made is removed again")
        undoing = asyncio.ensure_future(_undo(work))
        try:
            await asyncio.shield(undoing)
        except asyncio.CancelledError:
            await undoing
        except AgentError as trouble:
            raise _left_behind(work, error, trouble) from error
        if isinstance(error, StatementError) and (better := named(error)) is not error:
            raise better from error
        raise


async def _replace(work: _Work) -> Checked:
    """Replace what is there, in one transaction."""
    dropped, made = core.in_the_way(work.before, work.other.outside)
    scope = {"schemas": list(work.other.scope)}
    async with work.target.session(purpose=_PURPOSE) as session:
        await refuse_dependents(session, scope)
        contents = await session.rows(sql.load("restore/contents"), scope)
        await _fill_managed(session, work)
        try:
            first = _first(session, work, dropped, made, contents=[row["statement"] for row in contents])
            last = await _last(session, work, made)
            whole = Batch(
                name="",
                before="\n;\n".join((*first, "")),
                listing=as_listing(fast_order(work.parts.main)),
                after="\n;\n".join((*last, "")),
            )
            carrying = Carrying(
                target=work.target,
                tools=work.tools,
                archive=work.folder / backups.APPLICATION,
                options=work.options,
                purpose=_PURPOSE,
                clock=work.clock,
                emit=work.emit,
            )
            async with _staged(session, work):
                await carrying.carry_out([whole])
        except BaseException:
            await _unfill(session, work)
            raise
    return await _check(work)


async def _large_objects(target: Target, folder: Path, *, overwrite: bool) -> list[Goal]:
    """What is done with large objects: they need the OIDs that they had, since rows name them by these.

    Raises:
        TargetError: `restore.large_objects_taken`.
    """
    before = await backup_large_objects(folder)
    async with target.session(purpose=_PURPOSE) as session, session.transaction(read_only=True, repeatable=True):
        goals = await large_objects.plan(session, before, large_objects.Rules())
    taken = [str(goal.oid) for goal in goals if goal.about is not None]
    if taken and not overwrite:
        raise TargetError(
            f"the database has other large objects under OIDs of the backup's: {', '.join(taken[:5])}",
            code="restore.large_objects_taken",
            hint="Unlink them there if nobody needs them (`SELECT lo_unlink(OID)`), name another database, or give "
            "--overwrite: they are then replaced. Nothing was changed.",
        )
    return goals


def _staged(session: Session, work: _Work) -> AbstractAsyncContextManager[None]:
    return large_objects.staged(session, work.large, objects=work.objects, manifest=work.manifest, options=work.options)


async def _unlink(session: Session, work: _Work) -> None:
    """Those that were made."""
    if made := [goal.oid for goal in work.large if goal.about is None]:
        async with session.transaction():
            await large_objects.unlink(session, made)


def _begin(session: Session, work: _Work) -> str:
    timeout = session.bind(sql.load("restore/lock_timeout"), {"ms": round(work.options.lock_timeout_s * 1000)})
    return f"{sql.load('aside/begin')};\n{timeout}"


def _first(
    session: Session,
    work: _Work,
    dropped: Sequence[OutsideObject],
    made: Sequence[OutsideObject],
    *,
    contents: Sequence[str] = (),
) -> list[str]:
    """The statements before the archive."""

    def drop(item: OutsideObject) -> str:
        return item.drop if item.tied or item.kind in outside.FIRST else outside.attempt(session, item.drop)

    late = [item for item in dropped if item.kind in outside.FIRST]
    lacking = [name for name in work.manifest.schemas if work.other.lacks(name)]
    return [
        *(drop(item) for item in reversed(dropped) if item.drop and item not in late),
        *contents,
        *(drop(item) for item in reversed(late)),
        *(session.bind(sql.load("aside/make_schema"), {}, names={"schema": name}) for name in lacking),
        *(outside.attempt(session, item.create) for item in made if item.kind in outside.FIRST),
    ]


async def _last(session: Session, work: _Work, made: Sequence[OutsideObject]) -> list[str]:
    """The statements after the archive."""
    statements = [large_objects.put(session, work.large)] if work.large else []
    if work.parts.keys:
        script = await work.tools.script(work.folder / backups.APPLICATION, work.parts.keys)
        for text, adds_key in core.key_statements(script):
            statements.append(_attempt_key(session, text) if adds_key and "NOT VALID" not in text else text)
    late = (item for item in made if item.kind not in outside.FIRST)
    statements += (item.create if item.tied else outside.attempt(session, item.create) for item in late)
    history = work.folder / backups.HISTORY_SQL
    if await asyncio.to_thread(history.exists):
        statements += [sql.load("history/create"), await asyncio.to_thread(history.read_text)]
    elif work.other.facts["has_history"]:
        statements.append(sql.load("restore/history"))
    return [*statements, sql.load("restore/reload")]


def _attempt_key(session: Session, statement: str) -> str:
    text = sql.load("aside/attempt_key").replace("{tag}", dollar_tag(statement))
    return session.bind(text, {"statement": statement, "unchecked": f"{statement} NOT VALID"})


async def _fill_managed(session: Session, work: _Work) -> None:
    """Rows of Supabase's own tables, where the backup has them and the table here has none."""
    if not work.manifest.managed_data:
        return
    archive = work.folder / backups.MANAGED_DATA
    known = {
        (entry.schema_name, entry.tag): entry
        for entry in entries(await work.tools.listing(archive))
        if entry.desc in ("TABLE DATA", "SEQUENCE SET")
    }
    names = json.dumps([{"schema": schema, "name": name} for schema, name in known])
    chosen = []
    for row in await session.rows(sql.load("aside/fillable"), {"names": names}):
        name = (row["schema"], row["name"])
        if known[name].desc == "SEQUENCE SET":
            chosen.append(known[name])
        elif await session.value(sql.load("aside/is_empty"), names={"table": name}):
            chosen.append(known[name])
            work.filled.append(name)
    if work.filled:
        await work.tools.restore(
            archive=archive, listing=as_listing(chosen), before=sql.load("restore/begin"), after=""
        )


async def _load(work: _Work) -> None:
    """The archive, in parallel; progress is told by the size of what is done."""
    archive = work.folder / backups.APPLICATION
    sizes = await asyncio.to_thread(
        lambda: {path.name.partition(".")[0]: path.stat().st_size for path in archive.iterdir()}
    )
    sizes.pop("toc", None)
    total, done = sum(sizes.values()), 0

    def told(dump_id: str) -> None:
        nonlocal done
        if dump_id in sizes:
            done += sizes.pop(dump_id)
            message = f"restore: {done:,} of {total:,} bytes of rows are in"
            tell(
                work.emit, work.clock, EventKind.PROGRESS, message, what="restore", phase="load", done=done, total=total
            )

    await work.tools.load(archive=archive, listing=as_listing(work.parts.main), jobs=work.jobs, on_entry=told)


async def _check(work: _Work) -> Checked:
    tell(work.emit, work.clock, EventKind.LOG, "restored; comparing it with the backup's snapshot")
    return await check(
        target=work.target,
        manifest=work.manifest,
        folder=work.folder,
        before=work.before,
        apart=work.parts.apart,
        jobs=work.jobs,
        purpose=_PURPOSE,
        clock=work.clock,
        emit=work.emit,
    )


async def _undo(work: _Work) -> None:
    """Make an empty database what it was: each statement by itself, since one transaction may need too many locks."""
    async with work.target.session(purpose=_PURPOSE) as session:
        await end_leftovers(session, work.clock, work.emit)
        await session.run_many([sql.load("aside/session")])
        now = await outside.read_outside(session, work.other.scope, shared=False)
        dropped, made = backups.outside_changes(work.other.outside, now)
        late = [item for item in dropped if item.kind in outside.FIRST]
        contents = await session.rows(sql.load("restore/contents"), {"schemas": list(work.other.scope)})
        for statement in (
            *(item.drop for item in reversed(dropped) if item.drop and item not in late),
            *(row["statement"] for row in contents),
            *(item.drop for item in reversed(late)),
        ):
            await session.run(statement)
        await _unfill(session, work)
        await _unlink(session, work)
        new = [*work.manifest.schemas]
        if not work.other.facts["has_history"] and await session.value(sql.load("backup/history_exists")):
            await session.run(sql.load("aside/drop_history"))
            new.append("supabase_migrations")
        elif work.other.facts["has_history"]:
            await session.run(sql.load("restore/history"))
        [facts] = await session.rows(sql.load("aside/facts"), {"schemas": []})
        for name in new:
            if work.other.lacks(name) and name in facts["schemas"]:
                await session.run(sql.load("restore/drop_schema"), names={"schema": name})
        for item in made:
            await session.run_many([item.create])


async def _unfill(session: Session, work: _Work) -> None:
    if work.filled:
        await session.run(sql.load("aside/replica"))
        for table in work.filled:
            await session.run(sql.load("aside/clear_table"), names={"table": table})


def _differs(work: _Work, checked: Checked) -> TargetError:
    return TargetError(
        f"{work.target.label} is not equal to the backup in {len(checked.differences)} places: "
        f"{'; '.join(checked.differences[:5])}",
        code="restore.differs",
        hint="It was left as restored, to be looked at. Do not rely on it; --overwrite restores into it again.",
    )


def _left_behind(work: _Work, error: BaseException, trouble: AgentError) -> TargetError:
    why = error.message if isinstance(error, AgentError) else "it was interrupted"
    return TargetError(
        f"the restore into {work.target.label} failed ({why}), and what it had made could not be removed: "
        f"{trouble.message}",
        code="restore.left_behind",
        hint="A part of the backup is there. Restore again with --overwrite, or drop it.",
    )
