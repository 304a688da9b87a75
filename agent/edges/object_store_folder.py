"""Backups in a local folder: each is written under a name that nobody looks at, and appears whole, by one rename."""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from agent.core.backups import MANIFEST, disk_full
from agent.edges.object_store_common import missing, refused, work_folder

_PARTIAL = ".partial-"
_BLOCK = 1 << 20
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


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
            with work_folder(work_dir) if work_dir else _as_it_is(unseen) as folder:
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

    async def keys(self, prefix: str) -> list[str]:
        """See `ports.ObjectStore.keys`."""

        def walk() -> list[str]:
            files = (path.relative_to(self._root) for path in (self._root / prefix).rglob("*") if path.is_file())
            return sorted(file.as_posix() for file in files if not any(one.startswith(_PARTIAL) for one in file.parts))

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

    async def close(self) -> None:
        """See `ports.ObjectStore.close`: a folder holds nothing."""


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


@contextmanager
def _as_it_is(folder: Path) -> Iterator[Path]:
    yield folder


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
        raise missing(where) from error
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise disk_full(f"{where}: {error.strerror}") from error
        raise refused(where, error.strerror or str(error)) from error
