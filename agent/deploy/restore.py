"""Rung 4: the application's schemas, and what hangs on them outside, brought back from a backup, in place.

One transaction does it all, so a restore that fails has changed nothing, and one that was cut off is run again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import TypeAdapter

from agent import sql
from agent.core import backups as core
from agent.core.archive_list import as_listing, entries, fast_order
from agent.core.backups import Manifest, OutsideObject
from agent.core.models import BackupRecord, EventKind
from agent.core.restore_failures import refuse_newer_server
from agent.deploy import outside
from agent.deploy.archive import BackupOptions, load_manifest, opened
from agent.deploy.carrying import Batch, carry_out, end_leftovers
from agent.deploy.emitter import Emit, tell
from agent.deploy.snapshot import application_schemas
from agent.errors import BackupError, TargetError
from agent.ports import Clock, ObjectStore, PgTools, Session, Target

_OUTSIDE = TypeAdapter(list[OutsideObject])


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
        listing = await tools.listing(folder / core.APPLICATION)
        await end_leftovers(session, clock, emit)
        batch = await _plan(session, manifest, folder, listing)
        await carry_out(
            target=target,
            tools=tools,
            archive=folder / core.APPLICATION,
            batches=[replace(batch, after=f"{batch.after}\n{last}")],
            options=options,
            purpose=purpose,
            clock=clock,
            emit=emit,
            journal=False,
        )
        await _analyse(session, manifest.schemas)
    tell(emit, clock, EventKind.LOG, f"restored backup {backup.id}: {', '.join(manifest.schemas)}", backup=backup.id)


async def history_rows(session: Session, folder: Path) -> str:
    """SQL that gives the history table the rows that it had; "" if there is no such table."""
    if not await session.value(sql.load("backup/history_exists")):
        return ""
    history = folder / core.HISTORY_SQL
    return await asyncio.to_thread(history.read_text) if history.exists() else sql.load("restore/history")


async def _plan(session: Session, manifest: Manifest, folder: Path, listing: str) -> Batch:
    """Compare what there is with what there was."""
    [facts] = await session.rows(sql.load("backup/facts"), {"schemas": list(manifest.schemas)})
    refuse_newer_server(manifest, facts["server_major"])
    present = set(facts["schemas"])
    new = [name for name in await application_schemas(session, ()) if name not in manifest.all_schemas]
    scope = {"schemas": [*manifest.schemas, *new]}
    await refuse_dependents(session, scope)
    contents = await session.rows(sql.load("restore/contents"), scope)
    foreign = [row["name"] for row in await session.rows(sql.load("restore/foreign_owners"), scope)]
    now = await outside.read_outside(session, scope["schemas"])
    before = _OUTSIDE.validate_json(await asyncio.to_thread((folder / core.OUTSIDE).read_bytes))
    dropped, made = core.outside_changes(before, now)
    first = [item for item in made if item.kind in outside.FIRST]
    late = [item for item in dropped if item.kind in outside.FIRST]  # contents depend on them
    after = [f"{item.create};" for item in made if item not in first]
    after.append(await history_rows(session, folder))
    chosen = core.choose_entries(
        listing,
        existing_schemas=[name for name in manifest.schemas if name in present],
        foreign_owners=foreign,
    ).split("\n")
    return Batch(
        name=f"{manifest.id}: everything",
        before="\n".join(
            [
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
        listing=as_listing(fast_order(entry for entry in entries(listing) if entry.line in set(chosen))),
        after="\n".join([*after, sql.load("restore/reload")]),
    )


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
