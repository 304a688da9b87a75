"""Where backups lie: a local folder, or a bucket of S3, Google Cloud Storage or Azure through obstore.

A backup is written under a name that nobody looks at and appears whole: in a folder by one rename, in a bucket
by its manifest, which is stored last.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import ObjectStore as Bucket
from obstore.store import from_url

from agent.core.backups import MANIFEST, disk_full
from agent.errors import AgentError, BackupError, InputError, NotFoundError

T = TypeVar("T")

_PARTIAL = ".partial-"
_BLOCK = 1 << 20
_PART = 8 << 20  # bytes of one part of a multipart upload
_PARTS_AT_ONCE = 3
_MOST_PARTS = 9_000  # S3 allows 10,000
_ABANDONED = timedelta(hours=24)
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def open_object_store(url: str, *, options: Mapping[str, str] | None = None) -> FolderStore | BucketStore:
    """The place that a URL names.

    Args:
        url: `file:///folder`, a plain path, `s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix`.
        options: obstore's options of that kind of bucket (`endpoint`, `region`, …); what is not given comes from
            the environment (`AWS_…`, `GOOGLE_…`, `AZURE_…`).

    Raises:
        InputError: `input.backup_target`.
    """
    parts = urlsplit(url)
    if parts.scheme in ("", "file"):
        return FolderStore(Path(unquote(parts.path)).absolute())
    label = f"{parts.scheme}://{parts.hostname or ''}{parts.path}".rstrip("/")
    try:
        config: Any = dict(options or {})  # a TypedDict of its own for each kind of bucket
        client: Any = {"timeout": "1h", "read_timeout": "60s", "connect_timeout": "10s"}
        if config.get("endpoint", os.environ.get("AWS_ENDPOINT_URL", "")).startswith("http://"):
            client["allow_http"] = True
        bucket = from_url(url, config=config, client_options=client)
    except (BaseError, ValueError) as error:
        raise InputError(
            f"backup.target {label} cannot be used: {type(error).__name__}",
            code="input.backup_target",
            hint="Write file:///folder, s3://bucket/prefix, gs://bucket/prefix or az://container/prefix.",
            where={"field": "backup.target"},
        ) from error
    return BucketStore(bucket, label=label)


class FolderStore:
    """A local folder; implements `ports.ObjectStore`.

    Args:
        root: created when first written to.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    @property
    def label(self) -> str:
        """`file:///…`."""
        return self._root.as_uri()

    @asynccontextmanager
    async def upload(self, prefix: str, *, work_dir: Path | None = None) -> AsyncIterator[_FolderUpload]:
        """See `ports.ObjectStore.upload`."""
        final = self._root / prefix
        unseen = final.parent / f"{_PARTIAL}{final.name}"
        with _translated(str(unseen)):
            unseen.parent.mkdir(parents=True, exist_ok=True)
            unseen.mkdir(mode=0o700)
        lock = os.open(unseen, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)  # held while we live: `sweep` takes what nobody holds
            with _work_folder(work_dir) if work_dir else _as_it_is(unseen) as folder:
                yield _FolderUpload(folder=folder, unseen=unseen, final=final)
        finally:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, unseen, ignore_errors=True))
            os.close(lock)

    def local(self, prefix: str) -> Path | None:
        """See `ports.ObjectStore.local`."""
        return self._root / prefix

    async def sweep(self) -> list[str]:
        """See `ports.ObjectStore.sweep`."""
        return await asyncio.to_thread(self._sweep)

    def _sweep(self) -> list[str]:
        swept = []
        for unseen in sorted(path for path in self._root.glob(f"*/{_PARTIAL}*") if path.is_dir()):
            lock = os.open(unseen, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(unseen)
                swept.append(unseen.name.removeprefix(_PARTIAL))
            except BlockingIOError:
                continue  # its writer lives
            finally:
                os.close(lock)
        return swept

    async def put_file(self, key: str, source: Path) -> int:
        """See `ports.ObjectStore.put_file`."""
        target = self._root / key
        with _translated(str(target)):
            await asyncio.to_thread(_copy_whole, source, target)
        return target.stat().st_size

    async def put_bytes(self, key: str, content: bytes) -> None:
        """See `ports.ObjectStore.put_bytes`."""
        target = self._root / key
        with _translated(str(target)):
            await asyncio.to_thread(_write_whole, content, target)

    async def get_bytes(self, key: str) -> bytes:
        """See `ports.ObjectStore.get_bytes`."""
        with _translated(str(self._root / key)):
            return await asyncio.to_thread((self._root / key).read_bytes)

    async def chunks(self, key: str) -> AsyncIterator[bytes]:
        """See `ports.ObjectStore.chunks`."""
        with _translated(str(self._root / key)), (self._root / key).open("rb") as stream:
            while block := await asyncio.to_thread(stream.read, _BLOCK):
                yield block

    async def keys(self, prefix: str) -> list[tuple[str, int]]:
        """See `ports.ObjectStore.keys`."""

        def walk() -> list[tuple[str, int]]:
            files = (path for path in (self._root / prefix).rglob("*") if path.is_file())
            found = ((path.relative_to(self._root), path.stat().st_size) for path in files)
            return sorted((str(name), size) for name, size in found if not _is_partial(name))

        return await asyncio.to_thread(walk)

    async def delete(self, prefix: str) -> None:
        """See `ports.ObjectStore.delete`. The manifest goes first: what is half deleted is no backup any more."""
        folder = self._root / prefix

        def remove() -> None:
            if folder.is_dir():
                (folder / MANIFEST).unlink(missing_ok=True)
                shutil.rmtree(folder)
            else:
                folder.unlink(missing_ok=True)

        with _translated(str(folder)):
            await asyncio.to_thread(remove)


class _FolderUpload:
    """A backup on its way into a folder; implements `ports.Upload`."""

    def __init__(self, *, folder: Path, unseen: Path, final: Path) -> None:
        self.folder = folder
        self._unseen = unseen
        self._final = final

    async def free_bytes(self) -> int:
        """See `ports.Upload.free_bytes`."""
        return min(shutil.disk_usage(place).free for place in (self.folder, self._unseen))

    async def keep(self, name: str) -> None:
        """See `ports.Upload.keep`."""
        if self.folder == self._unseen:
            return
        with _translated(str(self._final / name)):
            await asyncio.to_thread(_copy_whole, self.folder / name, self._unseen / name)
            (self.folder / name).unlink()

    async def publish(self, manifest: bytes) -> None:
        """See `ports.Upload.publish`."""
        with _translated(str(self._final)):
            await asyncio.to_thread(self._publish, manifest)

    def _publish(self, manifest: bytes) -> None:
        (self._unseen / MANIFEST).write_bytes(manifest)
        for path in (*self._unseen.rglob("*"), self._unseen):
            _sync(path)
        self._unseen.rename(self._final)
        _sync(self._final.parent)


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

    @asynccontextmanager
    async def upload(self, prefix: str, *, work_dir: Path | None = None) -> AsyncIterator[_BucketUpload]:
        """See `ports.ObjectStore.upload`."""
        with _work_folder(work_dir) as folder:
            upload = _BucketUpload(self, prefix=prefix, folder=folder)
            try:
                yield upload
            except BaseException as error:
                try:
                    await asyncio.shield(self.delete(prefix))
                except AgentError as left:
                    error.add_note(f"and what was written of it is still there: {left.message}")
                raise
            if not upload.published:
                await self.delete(prefix)

    def local(self, prefix: str) -> Path | None:  # noqa: ARG002 - the port's
        """See `ports.ObjectStore.local`: a bucket has no folder."""
        return None

    async def sweep(self) -> list[str]:
        """See `ports.ObjectStore.sweep`: what has no manifest and has not changed for a day."""
        newest: dict[str, datetime] = {}
        whole = set()
        async for meta in self._list(""):
            prefix, _, name = self._backup_of(meta["path"])
            newest[prefix] = max(newest.get(prefix, meta["last_modified"]), meta["last_modified"])
            if name == MANIFEST:
                whole.add(prefix)
        old = datetime.now(UTC) - _ABANDONED
        swept = [prefix for prefix, changed in newest.items() if prefix and prefix not in whole and changed < old]
        for prefix in swept:
            await self.delete(prefix)
        return swept

    @staticmethod
    def _backup_of(key: str) -> tuple[str, str, str]:
        project, _, rest = key.partition("/")
        backup, slash, name = rest.partition("/")
        return (f"{project}/{backup}" if slash else "", slash, name)

    async def put_file(self, key: str, source: Path) -> int:
        """See `ports.ObjectStore.put_file`."""
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
        return size

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

    async def keys(self, prefix: str) -> list[tuple[str, int]]:
        """See `ports.ObjectStore.keys`."""
        return sorted([(meta["path"], meta["size"]) async for meta in self._list(prefix)])

    async def _list(self, prefix: str) -> AsyncIterator[Any]:
        with self._explained(prefix):
            async for page in obstore.list(self._bucket, prefix or None):
                for meta in page:
                    yield meta

    async def delete(self, prefix: str) -> None:
        """See `ports.ObjectStore.delete`. The manifest goes first: what is half deleted is no backup any more."""
        keys = [key for key, _ in await self.keys(prefix)] or [prefix]
        keys.sort(key=lambda key: not key.endswith(f"/{MANIFEST}"))
        for batch in (keys[:1], keys[1:]):
            if batch:
                await self._ask(prefix, partial(obstore.delete_async, self._bucket, batch))

    async def _ask(self, key: str, call: Callable[[], Awaitable[T]]) -> T:
        with self._explained(key):
            return await call()

    @contextmanager
    def _explained(self, key: str) -> Iterator[None]:
        try:
            yield
        except FileNotFoundError as error:  # obstore's NotFoundError is one
            raise _missing(f"{self._label}/{key}") from error
        except (BaseError, OSError) as error:
            raise _refused(f"{self._label}/{key}", f"{type(error).__name__}: {_first_line(error)}") from error


class _BucketUpload:
    """A backup on its way into a bucket; implements `ports.Upload`."""

    def __init__(self, store: BucketStore, *, prefix: str, folder: Path) -> None:
        self.folder = folder
        self.published = False
        self._store = store
        self._prefix = prefix

    async def free_bytes(self) -> int:
        """See `ports.Upload.free_bytes`."""
        return shutil.disk_usage(self.folder).free

    async def keep(self, name: str) -> None:
        """See `ports.Upload.keep`: stored, and removed here."""
        await self._store.put_file(f"{self._prefix}/{name}", self.folder / name)
        (self.folder / name).unlink()

    async def publish(self, manifest: bytes) -> None:
        """See `ports.Upload.publish`."""
        await self._store.put_bytes(f"{self._prefix}/{MANIFEST}", manifest)
        self.published = True


@contextmanager
def _work_folder(parent: Path | None) -> Iterator[Path]:
    if parent is not None:
        parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="deploy-agent-", dir=parent) as folder:  # mode 0700
        yield Path(folder)


@contextmanager
def _as_it_is(folder: Path) -> Iterator[Path]:
    yield folder


def _is_partial(name: Path) -> bool:
    return any(part.startswith(_PARTIAL) for part in name.parts)


def _copy_whole(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    waiting = target.with_name(f"{_PARTIAL}{target.name}")
    try:
        shutil.copyfile(source, waiting)
        _sync(waiting)
        waiting.replace(target)
    finally:
        waiting.unlink(missing_ok=True)


def _write_whole(content: bytes, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    waiting = target.with_name(f"{_PARTIAL}{target.name}")
    try:
        waiting.write_bytes(content)
        _sync(waiting)
        waiting.replace(target)
    finally:
        waiting.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _translated(where: str) -> Iterator[None]:
    """The system's errors as ours."""
    try:
        yield
    except FileNotFoundError as error:
        raise _missing(where) from error
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise disk_full(f"{where}: {error.strerror}") from error
        raise _refused(where, error.strerror or str(error)) from error


def _missing(where: str) -> NotFoundError:
    return NotFoundError(
        f"there is no {where}", code="notfound.backup", hint="`deploy-agent backup list` shows what there is."
    )


def _refused(where: str, why: str) -> BackupError:
    return BackupError(
        f"the backup target refuses {where}: {why}",
        code="backup.target_failed",
        hint="Check that the place exists, that the credentials may read and write there, and that it can be reached.",
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else ""
