"""Rung 4: the application's schemas, and what hangs on them outside, brought back from a backup, in place.

One transaction does it all, so a restore that fails has changed nothing, and one that was cut off is run again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from agent import sql
from agent.core import backups as core
from agent.core.backups import Manifest, OutsideObject
from agent.core.models import BackupRecord, EventKind, Severity
from agent.core.restore_failures import named
from agent.deploy import outside
from agent.deploy.archive import BackupOptions, load_manifest, opened
from agent.deploy.emitter import Emit, tell
from agent.deploy.snapshot import application_schemas
from agent.errors import AgentError, BackupError, StatementError, TargetError
from agent.ports import Clock, ObjectStore, PgTools, Row, Session, Target

_OUTSIDE = TypeAdapter(list[OutsideObject])
_LOCKED = frozenset({"55P03", "40P01"})  # lock_not_available, deadlock_detected
_OUT_OF_LOCKS = "53200"
_TRANSACTION_TIMEOUT_SINCE = 17
_WATCH_EVERY_S = 1.0


@dataclass(frozen=True, kw_only=True)
class _Plan:
    """What a restore sends: before, from and after the archive."""

    before: str
    listing: str
    after: str
    schemas: tuple[str, ...]


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
) -> None:
    """Bring the application's schemas back to a backup.

    What the application wrote since is lost. Sessions of the agent that still do something in the database are ended
    first. Whoever else holds a lock is waited for, `lock_attempts` times `lock_timeout_s`, and named.

    Args:
        purpose: the sessions' name, as in `Target.connect`.
        last: SQL that ends the restore's transaction.

    Raises:
        BackupError: `backup.damaged` and its kin: the backup cannot be used.
        TargetError: `restore.dependents`, `restore.locked`, `restore.out_of_locks`.
        StatementError: the database refused a statement.
            In each case nothing was changed.
    """
    manifest = await load_manifest(objects, backup)
    async with (
        opened(objects, manifest, options, only=lambda name: not name.startswith(core.MANAGED_DATA)) as folder,
        target.session(purpose=purpose) as session,
    ):
        await _end_leftovers(session, clock, emit)
        listing = await tools.listing(folder / core.APPLICATION)
        for attempt in range(1, options.lock_attempts + 1):
            plan = await _plan(session, manifest, folder, listing, lock_timeout_s=options.lock_timeout_s)
            after = f"{plan.after}\n{last}"
            blockers: list[Row] = []
            try:
                async with _watching(target, purpose, clock, emit, blockers, attempt=attempt):
                    await tools.restore(
                        archive=folder / core.APPLICATION, listing=plan.listing, before=plan.before, after=after
                    )
                break
            except StatementError as error:
                if error.sqlstate not in _LOCKED or attempt == options.lock_attempts:
                    raise _explained(error, blockers) from error
        await _analyse(session, plan.schemas)
    tell(emit, clock, EventKind.LOG, f"restored backup {backup.id}: {', '.join(plan.schemas)}", backup=backup.id)


async def _end_leftovers(session: Session, clock: Clock, emit: Emit) -> None:
    for row in await session.rows(sql.load("restore/leftover_sessions")):
        gone = await session.value(sql.load("restore/terminate"), {"pid": row["pid"]})
        message = f"ended session {row['pid']} of {row['application_name']}, which was {row['state']}"
        severity = Severity.INFO if gone else Severity.WARNING
        tell(emit, clock, EventKind.LOG, message, severity=severity, pid=row["pid"])


async def _plan(session: Session, manifest: Manifest, folder: Path, listing: str, *, lock_timeout_s: float) -> _Plan:
    """Compare what there is with what there was."""
    [facts] = await session.rows(sql.load("backup/facts"), {"schemas": list(manifest.schemas)})
    present = set(facts["schemas"])
    new = [name for name in await application_schemas(session, ()) if name not in manifest.all_schemas]
    scope = {"schemas": [*manifest.schemas, *new]}
    await _refuse_dependents(session, scope)
    contents = await session.rows(sql.load("restore/contents"), scope)
    foreign = [row["name"] for row in await session.rows(sql.load("restore/foreign_owners"), scope)]
    now = await outside.read_outside(session, scope["schemas"])
    before = _OUTSIDE.validate_json(await asyncio.to_thread((folder / core.OUTSIDE).read_bytes))
    dropped, made = core.outside_changes(before, now)
    first = [item for item in made if item.kind in outside.FIRST]
    late = [item for item in dropped if item.kind in outside.FIRST]  # contents depend on them
    lock_timeout = session.bind(sql.load("restore/lock_timeout"), {"ms": round(lock_timeout_s * 1000)})
    history = folder / core.HISTORY_SQL
    after = [lock_timeout, *(f"{item.create};" for item in made if item not in first)]
    if await session.value(sql.load("backup/history_exists")):
        written = await asyncio.to_thread(history.read_text) if history.exists() else sql.load("restore/history")
        after.append(written)
    return _Plan(
        before="\n".join(
            [
                sql.load("restore/begin"),
                sql.load("restore/begin_17") if facts["server_major"] >= _TRANSACTION_TIMEOUT_SINCE else "",
                lock_timeout,
                *(f"{item.drop};" for item in reversed(dropped) if item.drop and item not in late),
                *(f"{row['statement']};" for row in contents),
                *(f"{item.drop};" for item in reversed(late)),
                *(
                    session.bind(f"{sql.load('restore/drop_schema').strip()};", {}, names={"schema": name})
                    for name in new
                ),
                *(f"{item.create};" for item in first),
            ]
        ),
        listing=core.choose_entries(
            listing,
            existing_schemas=[name for name in manifest.schemas if name in present],
            foreign_owners=foreign,
        ),
        after="\n".join([*after, sql.load("restore/reload")]),
        schemas=manifest.schemas,
    )


async def _refuse_dependents(session: Session, scope: dict[str, list[str]]) -> None:
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


@asynccontextmanager
async def _watching(
    target: Target, purpose: str, clock: Clock, emit: Emit, seen: list[Row], *, attempt: int
) -> AsyncIterator[None]:
    """While this lasts, tell who holds the restore up; `seen` has the latest of them."""

    async def watch() -> None:
        told: set[int] = set()
        async with target.session(purpose=purpose) as session:
            while True:
                blockers = await session.rows(sql.load("restore/blocking"))
                if blockers:
                    seen[:] = blockers
                if {row["pid"] for row in blockers} - told:
                    told |= {row["pid"] for row in blockers}
                    message = f"the restore waits for {_names(blockers)}"
                    tell(
                        emit,
                        clock,
                        EventKind.LOCK_WAIT,
                        message,
                        severity=Severity.WARNING,
                        version="",
                        attempt=attempt,
                        blockers=blockers,
                    )
                await clock.sleep(_WATCH_EVERY_S)

    task = asyncio.create_task(watch())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)  # the restore's own outcome counts, not its watcher's


def _names(blockers: Sequence[Row]) -> str:
    return ", ".join(f"pid {row['pid']} ({row['user']}, {row['application'] or 'unnamed'})" for row in blockers)


def _explained(error: StatementError, blockers: Sequence[Row]) -> AgentError:
    """The failures of a restore that have a name."""
    if error.sqlstate in _LOCKED:
        who = f": held by {_names(blockers)}" if blockers else ""
        return TargetError(
            f"the restore could not get a lock{who} ({error.message})",
            code="restore.locked",
            hint="Stop the application, or end those sessions with pg_terminate_backend, then restore again. "
            "Nothing was changed.",
        )
    if error.sqlstate == _OUT_OF_LOCKS:
        return TargetError(
            f"the restore needs more locks than the server has room for ({error.message})",
            code="restore.out_of_locks",
            hint="Raise max_locks_per_transaction (it needs a restart of the server), then restore again. "
            "Nothing was changed.",
        )
    return named(error)


async def _analyse(session: Session, schemas: Sequence[str]) -> None:
    for row in await session.rows(sql.load("restore/tables"), {"schemas": list(schemas)}):
        await session.run(sql.load("restore/analyze"), names={"table": (row["schema"], row["name"])})


async def restore_scratch(*, target: Target, tools: PgTools, manifest: Manifest, folder: Path) -> None:
    """Restore into a scratch database, and count what arrived.

    Args:
        target: an empty Supabase-like database, as a superuser; `tools` for the same.
        folder: the backup's files, plain.

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
        await tools.restore(archive=folder / core.APPLICATION, listing=entries, before="\n".join(before), after="")
        found = {}
        for row in await session.rows(sql.load("restore/tables"), {"schemas": list(manifest.schemas)}):
            name = await session.value(sql.load("restore/qualified"), row)
            found[name] = await session.value(sql.load("backup/count"), names={"table": (row["schema"], row["name"])})
    wrong = [
        f"{name} has {found.get(name, 'no')} rows, {rows} were backed up"
        for name, rows in sorted(manifest.rows.items())
        if found.get(name) != rows
    ]
    if wrong:
        raise BackupError(
            f"the restored backup differs in {len(wrong)} tables: {'; '.join(wrong[:5])}",
            code="backup.counts_differ",
            hint="Do not rely on this backup: take a new one, and report this with both manifests.",
        )
