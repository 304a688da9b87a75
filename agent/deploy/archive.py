"""A published backup as the deploy reads it: its manifest, and its files in a local folder."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import tempfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.core import backups as core
from agent.core.backups import Manifest, StoredFile
from agent.core.models import BackupRecord
from agent.core.restore_failures import agent_disk_full
from agent.errors import BackupError, NotFoundError
from agent.ports import Cipher, ObjectStore

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True, kw_only=True)
class BackupOptions:
    """What the settings say about backups.

    `schemas`: empty means all of the application's. `managed_data`: schemas of Supabase whose rows are kept too (never
    restored in place). `min_bytes`: a smaller backup is refused. `work_dir`: where files lie on their way to or
    from a bucket or encryption; None: the system's temporary folder. `lock_timeout_s`, `lock_attempts`: of a restore.
    `ahead_bytes`: a table whose rows take at least so much in the archive is loaded ahead of a full restore,
    and one of so many bytes is written anew by a targeted one; None: no table is.
    """

    schemas: tuple[str, ...] = ()
    jobs: int = 2
    managed_data: tuple[str, ...] = ()
    min_bytes: int = 0
    keep_last: int | None = None
    keep_days: int | None = None
    cipher: Cipher | None = None
    encrypt: bool = False
    work_dir: Path | None = None
    lock_timeout_s: float = 10.0
    lock_attempts: int = 3
    ahead_bytes: int | None = 1 << 20


def work_dir(options: BackupOptions) -> Path | None:
    """Plain text never lies at the target: with encryption, files are made elsewhere."""
    if options.encrypt:
        return options.work_dir or Path(tempfile.gettempdir())
    return options.work_dir


async def load_manifest(objects: ObjectStore, backup: BackupRecord) -> Manifest:
    """What is in a backup.

    Raises:
        NotFoundError: `notfound.backup`: its files are gone.
        BackupError: `backup.manifest_damaged`, `backup.newer_format`, `backup.other_backup`.
    """
    key = f"{core.prefix(backup.project, backup.id)}/{core.MANIFEST}"
    where = f"{objects.label}/{key}"
    manifest = core.unseal(await objects.get_bytes(key), where=where)
    if (manifest.project, manifest.id) != (backup.project, backup.id):
        raise BackupError(
            f"{where} is that of backup {manifest.id} of project {manifest.project!r}: files were moved or copied",
            code="backup.other_backup",
            hint=f"Put the files of {backup.id} of project {backup.project!r} back there, or use another backup.",
        )
    return manifest


@asynccontextmanager
async def opened(
    objects: ObjectStore, manifest: Manifest, options: BackupOptions, *, only: Callable[[str], bool] = lambda _: True
) -> AsyncIterator[Path]:
    """The files of a backup in a local folder, plain, each checked against the manifest.

    Args:
        only: which files, by their plain names.

    Raises:
        BackupError: `backup.damaged`, `backup.identity_missing`, `backup.decryption_failed`,
            `restore.agent_disk_full`.
    """
    wanted = [file for file in manifest.files if only(core.plain_name(file.name))]
    place = core.prefix(manifest.project, manifest.id)
    async with fetched(objects, place, wanted, options, encrypted=bool(manifest.encryption)) as folder:
        yield folder


@asynccontextmanager
async def fetched(
    objects: ObjectStore, place: str, files: Sequence[StoredFile], options: BackupOptions, *, encrypted: bool
) -> AsyncIterator[Path]:
    """Stored files in a local folder, plain, each checked against what was written.

    Args:
        place: where they lie in the object store.

    Raises:
        As `opened`.
    """
    local = objects.local(place)
    if local is not None and not encrypted:
        await check_files(objects, place, files)
        yield local
        return
    if options.work_dir is not None:
        options.work_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="deploy-agent-", dir=options.work_dir) as name:
        folder = Path(name)
        for file in files:
            stored = folder / file.name
            await asyncio.to_thread(stored.parent.mkdir, parents=True, exist_ok=True)
            await _fetch(objects, place, file, stored)
            if encrypted:
                if options.cipher is None:
                    raise BackupError(
                        f"{objects.label}/{place} is encrypted, and no identity is set",
                        code="backup.identity_missing",
                        hint="Set backup.age_identity to the secret key that belongs to one of the recipients.",
                    )
                await options.cipher.decrypt(stored, folder / core.plain_name(file.name))
                await asyncio.to_thread(stored.unlink)
        yield folder


async def _fetch(objects: ObjectStore, place: str, file: StoredFile, into: Path) -> None:
    try:
        with into.open("xb") as stream:
            await _read(objects, place, file, stream.write)
    except OSError as error:
        if error.errno not in _NO_SPACE:
            raise
        raise agent_disk_full(f"{into.parent}: {error.strerror}") from error


async def _read(objects: ObjectStore, place: str, file: StoredFile, use: Callable[[bytes], Any]) -> None:
    """Read a stored file from its beginning to its end.

    Raises:
        BackupError: `backup.damaged`: it is not there, or not what was written.
    """
    digest, size = hashlib.sha256(), 0

    def take(block: bytes) -> None:
        digest.update(block)
        use(block)

    try:
        async for block in objects.chunks(f"{place}/{file.name}"):
            await asyncio.to_thread(take, block)
            size += len(block)
    except NotFoundError as error:
        raise _damaged(file.name, "is missing") from error
    if size != file.bytes:
        raise _damaged(file.name, f"has {size:,} bytes, {file.bytes:,} were written")
    if digest.hexdigest() != file.sha256:
        raise _damaged(file.name, "is not what was written: its checksum differs")


async def check_files(objects: ObjectStore, place: str, files: Sequence[StoredFile]) -> None:
    """Read files at their place and compare them with the manifest.

    Raises:
        BackupError: `backup.damaged`.
    """
    for file in files:
        await _read(objects, place, file, lambda _: None)


def _damaged(name: str, what: str) -> BackupError:
    return BackupError(
        f"the backup is damaged: {name} {what}",
        code="backup.damaged",
        hint="Do not rely on this backup: take a new one now, and find out what happened to its disk or bucket.",
        where={"file": name},
    )
