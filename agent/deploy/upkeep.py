"""Backups in the long run: verified from time to time, removed when their time is over."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from agent.core import backups as core
from agent.core.models import BackupRecord, BackupState
from agent.core.states import FINAL, State
from agent.deploy.archive import BackupOptions, check_files, load_manifest, opened
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
    """Read a backup again: every checksum and the archive's listing; with `scratch` restore it there and count.

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
                await restore_scratch(target=target, tools=scratch_tools, manifest=manifest, folder=folder)
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
    objects: ObjectStore,
    store: DeployStore,
    clock: Clock,
    project: str,
    options: BackupOptions,
    dry_run: bool = False,
) -> list[BackupRecord]:
    """Remove what the retention rules let go, oldest first, and what broken-off backups left.

    Args:
        dry_run: only say which.

    Returns:
        The removed ones.
    """
    records = await store.backups(project=project)
    open_deploys = await store.deploys(project=project, states=[state for state in State if state not in FINAL])
    stuck = await store.deploys(project=project, states=[State.NEEDS_OPERATOR])
    verdicts = core.retention(
        records,
        now=clock.now(),
        keep_last=options.keep_last,
        keep_days=options.keep_days,
        needed={deploy.backup_id for deploy in (*open_deploys, *stuck[:1])},
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
