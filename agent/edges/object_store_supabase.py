"""Backups in a Supabase Storage bucket of another project.

Each file is read back and its SHA-256 compared with that of the file here before anything else is done, the manifest
last: what is published lies there as it was hashed. Nothing of a backup is ever overwritten.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from agent.core.backups import MANIFEST
from agent.edges.object_store_common import BucketUpload, abandoned, bucket_upload, refused
from agent.edges.storage_api import CHUNK, StorageApi, object_exists
from agent.errors import AgentError, BackupError

_PAGE = 1000
_DELETED_AT_ONCE = 100
_BEGINNINGS = 3


class SupabaseStore:
    """A bucket of Supabase Storage; implements `ports.ObjectStore`.

    Args:
        api: the bucket.
        prefix: before every key, without `/` at its ends; or "".
        page: how many names to ask for at once.
    """

    def __init__(self, api: StorageApi, *, prefix: str, page: int = _PAGE) -> None:
        self._api = api
        self._prefix = f"{prefix}/" if prefix else ""
        self._page = page
        self._limit: int | None = None
        self._looked_at = False

    @property
    def label(self) -> str:
        """`supabase://ref/bucket/prefix`."""
        return f"{self._api.label}/{self._prefix}".rstrip("/")

    @asynccontextmanager
    async def upload(self, prefix: str, *, work_dir: Path | None = None) -> AsyncIterator[BucketUpload]:
        """See `ports.ObjectStore.upload`.

        Raises:
            BackupError: `backup.bucket_missing`, `backup.bucket_public`; `backup.object_exists`: something lies there.
        """
        await self._look_at_bucket()
        if await self.keys(prefix):
            raise object_exists(f"{self.label}/{prefix}")
        async with bucket_upload(self, prefix, work_dir) as upload:
            yield upload

    def local(self, prefix: str) -> Path | None:  # noqa: ARG002 - the port's
        """See `ports.ObjectStore.local`: a bucket has no folder."""
        return None

    async def sweep(self) -> list[str]:
        """See `ports.ObjectStore.sweep`: what has no manifest and has not changed for a day."""
        swept = abandoned([(key, changed) async for key, changed in self._below("")])
        for prefix in swept:
            await self.delete(prefix)
        return swept

    async def put_file(self, key: str, source: Path) -> None:
        """Store a new file, and read it back.

        Raises:
            BackupError: `backup.object_exists`; `backup.target_failed`: something else lies there than was sent;
                `backup.file_too_large`, `backup.quota`, `backup.key_refused`, `backup.storage_unreachable`, ….
        """
        size, digest = await asyncio.to_thread(_hashed, source)
        if self._limit is not None and size > self._limit:
            raise BackupError(
                f"{self.label}/{key} has {size:,} bytes, and the bucket takes files of at most {self._limit:,}",
                code="backup.file_too_large",
                hint="Raise the file size limit of the bucket.",
            )
        taken: AgentError | None = None
        try:
            if size <= CHUNK:
                content = await asyncio.to_thread(source.read_bytes)
                await self._api.put(self._prefix + key, content, overwrite=False)
            else:
                await self._send(self._prefix + key, source, size)
        except BackupError as error:
            if error.code != "backup.object_exists":
                raise
            taken = error  # ours, if the answer to it was lost on the way
        there = hashlib.sha256()
        async for block in self._api.read(self._prefix + key):
            there.update(block)
        if there.hexdigest() != digest:
            raise taken or refused(f"{self.label}/{key}", "what lies there is not what was sent; its SHA-256 differs")

    async def _send(self, name: str, source: Path, size: int) -> None:
        """Send a file by resumable upload, from where Storage says that it is after each failure."""
        patience, beginnings = self._api.patience(), 1
        upload, offset = await self._api.begin(name, size), 0
        while offset < size:
            now: int | AgentError | None = await self._api.append(upload, name, offset, await _block(source, offset))
            while isinstance(now, AgentError):
                failure = now
                await patience.wait(failure)
                now = await self._api.offset(upload, name)
                if now is not None:
                    continue
                if await self._api.exists(name):  # complete, and the upload forgotten
                    return
                if beginnings == _BEGINNINGS:  # each may have expired
                    raise failure
                beginnings += 1
                upload, now = await self._api.begin(name, size), 0
            if now is not None and now > offset:
                patience.fresh()
            offset = now or 0

    async def put_bytes(self, key: str, content: bytes) -> None:
        """See `ports.ObjectStore.put_bytes`."""
        await self._look_at_bucket()
        await self._api.put(self._prefix + key, content, overwrite=True)

    async def get_bytes(self, key: str) -> bytes:
        """See `ports.ObjectStore.get_bytes`."""
        return b"".join([block async for block in self._api.read(self._prefix + key)])

    async def chunks(self, key: str) -> AsyncIterator[bytes]:
        """See `ports.ObjectStore.chunks`."""
        async for block in self._api.read(self._prefix + key):
            yield block

    async def keys(self, prefix: str) -> list[str]:
        """See `ports.ObjectStore.keys`."""
        return sorted([key async for key, _ in self._below(prefix)])

    async def delete(self, prefix: str) -> None:
        """See `ports.ObjectStore.delete`. The manifest goes first: what is half deleted is no backup any more."""
        known = [key async for key, _ in self._below(prefix)]
        keys = sorted(known or [prefix], key=lambda key: not key.endswith(f"/{MANIFEST}"))
        batches = [keys[:1], *(keys[at : at + _DELETED_AT_ONCE] for at in range(1, len(keys), _DELETED_AT_ONCE))]
        gone: set[str] = set()
        for batch in batches:
            gone |= await self._api.remove([self._prefix + key for key in batch])
        # A key that may not delete is told nothing: the answer only lists less.
        if any(self._prefix + key not in gone for key in known) and (left := await self.keys(prefix)):
            raise refused(f"{self.label}/{left[0]}", "the key may not delete")

    async def close(self) -> None:
        """See `ports.ObjectStore.close`."""
        await self._api.close()

    async def _below(self, prefix: str) -> AsyncIterator[tuple[str, datetime]]:
        """Keys under a prefix, and when each was written."""
        folders = [prefix]
        while folders:
            folder = folders.pop()
            async for row in self._api.listed((self._prefix + folder).rstrip("/"), page=self._page):
                key = f"{folder}/{row['name']}" if folder else row["name"]
                if row.get("id") is None:
                    folders.append(key)
                else:
                    yield key, _time(row.get("updated_at") or row.get("created_at"))

    async def _look_at_bucket(self) -> None:
        """Once: it is there, and strangers cannot read it."""
        if self._looked_at:
            return
        facts = await self._api.bucket()
        if facts.public:
            raise BackupError(
                f"the bucket of {self.label} is public: everybody could read the backups",
                code="backup.bucket_public",
                hint="Make it private, or choose another.",
            )
        self._limit, self._looked_at = facts.limit, True


def _hashed(source: Path) -> tuple[int, str]:
    digest = hashlib.sha256()
    size = 0
    with source.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
            size += len(block)
    return size, digest.hexdigest()


async def _block(source: Path, offset: int) -> bytes:
    def read() -> bytes:
        with source.open("rb") as stream:
            stream.seek(offset)
            return stream.read(CHUNK)

    return await asyncio.to_thread(read)


def _time(text: object) -> datetime:
    """When something was written; what cannot be read counts as new, so that it is not swept."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return datetime.now(UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
