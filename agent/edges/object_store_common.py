"""What folders and buckets of backups have in common: a private folder to work in, uploads, and the words of errors."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from agent.core.backups import MANIFEST
from agent.errors import AgentError, BackupError, NotFoundError

_ABANDONED = timedelta(hours=24)


@contextmanager
def work_folder(parent: Path | None) -> Iterator[Path]:
    """A folder of our own below `parent` (None: the system's temporary folder), gone afterwards."""
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="deploy-agent-", dir=parent) as folder:  # mode 0700
        yield Path(folder)


class Bucket(Protocol):
    """What an upload into a bucket needs of it."""

    async def put_file(self, key: str, source: Path) -> None:
        """Store a file, whole or not at all."""
        ...

    async def delete(self, prefix: str) -> None:
        """Delete everything under a prefix."""
        ...


class BucketUpload:
    """A backup on its way into a bucket, where its manifest makes it whole; implements `ports.Upload`."""

    def __init__(self, bucket: Bucket, *, prefix: str, folder: Path) -> None:
        self.folder = folder
        self.published = False
        self._bucket = bucket
        self._prefix = prefix

    async def free_bytes(self) -> int:
        """See `ports.Upload.free_bytes`."""
        return shutil.disk_usage(self.folder).free

    async def keep(self, name: str) -> None:
        """See `ports.Upload.keep`: stored, and removed here."""
        await self._bucket.put_file(f"{self._prefix}/{name}", self.folder / name)
        (self.folder / name).unlink()

    async def publish(self, manifest: bytes) -> None:
        """See `ports.Upload.publish`."""
        (self.folder / MANIFEST).write_bytes(manifest)
        await self.keep(MANIFEST)
        self.published = True


@asynccontextmanager
async def bucket_upload(bucket: Bucket, prefix: str, work_dir: Path | None) -> AsyncIterator[BucketUpload]:
    """See `ports.ObjectStore.upload`: what was not published at the end is deleted."""
    with work_folder(work_dir) as folder:
        upload = BucketUpload(bucket, prefix=prefix, folder=folder)
        try:
            yield upload
        except BaseException as error:
            try:
                await asyncio.shield(bucket.delete(prefix))
            except AgentError as left:
                error.add_note(f"and what was written of it is still there: {left.message}")
            raise
        if not upload.published:
            await bucket.delete(prefix)


def abandoned(objects: Iterable[tuple[str, datetime]]) -> list[str]:
    """The backups in a bucket that have no manifest and have not changed for a day.

    Args:
        objects: each key, and when it was last written.
    """
    newest: dict[str, datetime] = {}
    whole = set()
    for key, changed in objects:
        project, _, rest = key.partition("/")
        backup, slash, name = rest.partition("/")
        if not slash:
            continue
        prefix = f"{project}/{backup}"
        newest[prefix] = max(newest.get(prefix, changed), changed)
        if name == MANIFEST:
            whole.add(prefix)
    old = datetime.now(UTC) - _ABANDONED
    return [prefix for prefix, changed in newest.items() if prefix not in whole and changed < old]


def missing(where: str) -> NotFoundError:
    """There is no such object; `where` without secrets."""
    return NotFoundError(
        f"there is no {where}", code="notfound.backup", hint="`deploy-agent backup list` shows what there is."
    )


def refused(where: str, why: str) -> BackupError:
    """The place does not do what was asked."""
    return BackupError(
        f"the backup target refuses {where}: {why}",
        code="backup.target_failed",
        hint="Check that the place exists, that the credentials may read and write there, and that it can be reached.",
    )
