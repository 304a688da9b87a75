"""Backups in a bucket of S3, Google Cloud Storage or Azure, through obstore: the manifest is stored last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore as Bucket

from agent.core.backups import MANIFEST
from agent.core.redaction import redact
from agent.edges.object_store_common import BucketUpload, abandoned, bucket_upload, missing, refused

T = TypeVar("T")

_BLOCK = 1 << 20
_PART = 8 << 20  # bytes of one part of a multipart upload
_PARTS_AT_ONCE = 3
_MOST_PARTS = 9_000  # S3 allows 10,000


class BucketStore:
    """A bucket; implements `ports.ObjectStore`.

    Args:
        bucket: obstore's store.
        label: the place for people, without secrets.
    """

    def __init__(self, bucket: Bucket, *, label: str) -> None:
        self._bucket = bucket
        self._label = label

    @property
    def label(self) -> str:
        """For instance `s3://bucket/prefix`."""
        return self._label

    def upload(self, prefix: str, *, work_dir: Path | None = None) -> AbstractAsyncContextManager[BucketUpload]:
        """See `ports.ObjectStore.upload`."""
        return bucket_upload(self, prefix, work_dir)

    def local(self, prefix: str) -> Path | None:  # noqa: ARG002 - the port's
        """See `ports.ObjectStore.local`: a bucket has no folder."""
        return None

    async def sweep(self) -> list[str]:
        """See `ports.ObjectStore.sweep`: what has no manifest and has not changed for a day."""
        swept = abandoned([(meta["path"], meta["last_modified"]) async for meta in self._list("")])
        for prefix in swept:
            await self.delete(prefix)
        return swept

    async def put_file(self, key: str, source: Path) -> None:
        """Store a file under `key`, whole or not at all."""
        size = (await asyncio.to_thread(source.stat)).st_size
        await self._ask(
            key,
            lambda: obstore.put_async(
                self._bucket,
                key,
                source,
                chunk_size=max(_PART, -(-size // _MOST_PARTS)),
                max_concurrency=_PARTS_AT_ONCE,
            ),
        )

    async def put_bytes(self, key: str, content: bytes) -> None:
        """See `ports.ObjectStore.put_bytes`."""
        await self._ask(key, lambda: obstore.put_async(self._bucket, key, content))

    async def get_bytes(self, key: str) -> bytes:
        """See `ports.ObjectStore.get_bytes`."""
        answer = await self._ask(key, lambda: obstore.get_async(self._bucket, key))
        return bytes(await self._ask(key, answer.bytes_async))

    async def chunks(self, key: str) -> AsyncIterator[bytes]:
        """See `ports.ObjectStore.chunks`."""
        answer = await self._ask(key, lambda: obstore.get_async(self._bucket, key))
        with self._explained(key):
            async for block in answer.stream(min_chunk_size=_BLOCK):
                yield bytes(block)

    async def _list(self, prefix: str) -> AsyncIterator[Any]:
        with self._explained(prefix):
            async for page in obstore.list(self._bucket, prefix or None):
                for meta in page:
                    yield meta

    async def keys(self, prefix: str) -> list[str]:
        """See `ports.ObjectStore.keys`."""
        return sorted([meta["path"] async for meta in self._list(prefix)])

    async def delete(self, prefix: str) -> None:
        """See `ports.ObjectStore.delete`. The manifest goes first: what is half deleted is no backup any more."""
        keys = [meta["path"] async for meta in self._list(prefix)] or [prefix]
        keys.sort(key=lambda key: not key.endswith(f"/{MANIFEST}"))
        for batch in (keys[:1], keys[1:]):
            if batch:
                await self._ask(prefix, partial(obstore.delete_async, self._bucket, batch))

    async def close(self) -> None:
        """See `ports.ObjectStore.close`: obstore's connections end with it."""

    async def _ask(self, key: str, call: Callable[[], Awaitable[T]]) -> T:
        with self._explained(key):
            return await call()

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:  # obstore's NotFoundError is one
            raise missing(f"{self._label}/{key}") from error
        except (BaseError, OSError) as error:
            raise refused(f"{self._label}/{key}", f"{type(error).__name__}: {redact(_first_line(error))}") from error


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else ""
