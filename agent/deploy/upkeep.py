"""Backups in the long run: verified from time to time, removed when their time is over."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from agent.core import backups as core
from agent.core.models import BackupRecord, BackupState
from agent.core.states import FINAL, State
from agent.deploy.archive import BackupOptions, check_files, load_manifest, opened
from agent.deploy.carrying import unfinished
from agent.deploy.restore import restore_scratch
from agent.deploy.salvages import unsettled_backups
from agent.errors import AgentError
from agent.ports import Clock, DeployStore, ObjectStore, PgTools, Target

_DAMAGE = frozenset(
    {
        "backup.damaged",
        "backup.manifest_damaged",
        "backup.unreadable",
        "backup.counts_differ",
        "notfound.backup",
    }
)
_ALL = 10_000
ScratchDatabase = Callable[[], AbstractAsyncContextManager[tuple[Target, PgTools]]]


async def verify_backup(
    *,
    tools: PgTools,
    objects: ObjectStore,
    store: DeployStore,
    clock: Clock,
    backup: BackupRecord,
    options: BackupOptions,
    scratch: ScratchDatabase | None = None,
) -> BackupRecord:
    """Read a backup again: every checksum and the archive's listing; with `scratch` restore it there and compare.

    Only a backup that was restored and compared becomes `verified`. An encrypted one can be listed only with its
    identity; without, its checksums are checked.

    Args:
        scratch: opens an empty Supabase-like database, and the tools for it.

    Returns:
        The record as it is now.

    Raises:
        BackupError: `backup.damaged`, `backup.manifest_damaged`, `backup.unreadable`, `backup.counts_differ`: the
            backup is now recorded as damaged.
    """
    try:
        manifest = await load_manifest(objects, backup)
        await check_files(objects, core.prefix(backup.project, backup.id), manifest.files)
        if scratch is not None:
            async with scratch() as (target, scratch_tools), opened(objects, manifest, options) as folder:
                await restore_scratch(
                    target=target,
                    tools=scratch_tools,
                    objects=objects,
                    manifest=manifest,
                    folder=folder,
                    options=options,
                )
        elif options.cipher is not None or not manifest.encryption:
            async with opened(objects, manifest, options, only=lambda name: name.endswith("toc.dat")) as folder:
                await tools.listing(folder / core.APPLICATION)
    except AgentError as error:
        if error.code in _DAMAGE:
            await store.set_backup_state(backup.id, BackupState.DAMAGED, now=clock.now())
        raise
    if scratch is None:
        return backup
    now = clock.now()
    await store.set_backup_state(backup.id, BackupState.VERIFIED, now=now)
    return backup.model_copy(update={"state": BackupState.VERIFIED, "verified_at": now})


async def prune(
    *,
    target: Target,
    objects: ObjectStore,
    store: DeployStore,
    clock: Clock,
    project: str,
    options: BackupOptions,
    dry_run: bool = False,
) -> list[BackupRecord]:
    """Remove what the retention rules let go, oldest first, and what broken-off backups left.

    While a restore in several transactions is unfinished in the target nothing is removed: its backup is needed to go
    on, and the one that was taken before it to go back.

    Args:
        target: is asked for such a restore.
        dry_run: only say which.

    Returns:
        The removed ones.

    Raises:
        TargetError: the target could not be asked; nothing was removed.
    """
    async with target.session(purpose="prune") as session:
        if await unfinished(session):
            return []
    records = await store.backups(project=project)
    verdicts = core.retention(
        records,
        now=clock.now(),
        keep_last=options.keep_last,
        keep_days=options.keep_days,
        needed=await _needed(store, project),
        unsettled=await unsettled_backups(objects, project),
    )
    going = sorted((one for one in records if verdicts[one.id] is None), key=lambda one: one.created_at)
    if dry_run:
        return going
    await objects.sweep()
    for record in going:
        await objects.delete(core.prefix(record.project, record.id))
        await store.forget_backup(record.id)
    return going


async def _needed(store: DeployStore, project: str) -> set[str]:
    """Backups of deploys that are not final, of those left to people since one succeeded, and of the last one left."""
    open_deploys = await store.deploys(project=project, states=[state for state in State if state not in FINAL])
    stuck = await store.deploys(project=project, states=[State.NEEDS_OPERATOR], limit=_ALL)
    good = [one for one in await store.deploys(project=project, states=[State.SUCCEEDED], limit=_ALL) if one.backup_id]
    since = [deploy for deploy in stuck if not good or deploy.created_at > good[0].created_at]
    return {deploy.backup_id for deploy in (*open_deploys, *stuck[:1], *since)}
