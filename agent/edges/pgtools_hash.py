"""Hash files while another program writes them, so that none is read again from the disk afterwards."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from agent.core.backups import StoredFile

_BLOCK = 1 << 20


@dataclass(kw_only=True)
class _Growing:
    path: Path
    stream: BinaryIO
    bytes: int = 0
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)

    def catch_up(self, buffer: bytearray) -> None:
        """Take in what was added since."""
        view = memoryview(buffer)
        while count := self.stream.readinto(buffer):  # type: ignore[attr-defined]  # a raw file has it
            self.digest.update(view[:count])
            self.bytes += count


class TailHasher:
    """The files of one flat folder, each hashed as far as it has been written.

    A file whose writer has closed it is said to be complete (`advance(complete=…)`) and closed here too, so
    that only files which are being written are open. One thread at a time may use it.

    Args:
        folder: where the files appear. It need not exist yet.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._growing: dict[str, _Growing] = {}
        self._done: set[str] = set()
        self._buffer = bytearray(_BLOCK)
        self._bytes_done = 0

    @property
    def bytes(self) -> int:
        """Bytes seen so far."""
        return self._bytes_done + sum(file.bytes for file in self._growing.values())

    def advance(self, complete: Collection[str] = (), *, all_complete: bool = False) -> list[StoredFile]:
        """Read what is new; returns the files that are now complete.

        Args:
            complete: names, without what follows the first dot, of files that nobody writes any more.
            all_complete: the writer has ended: so is every file.
        """
        if self._folder.is_dir():
            for path in self._folder.iterdir():
                if path.name not in self._growing and path.name not in self._done:
                    self._growing[path.name] = _Growing(path=path, stream=path.open("rb", buffering=0))
        finished = []
        for name, file in list(self._growing.items()):
            file.catch_up(self._buffer)
            if all_complete or name.split(".", 1)[0] in complete:
                finished.append(StoredFile(name=name, bytes=file.bytes, sha256=file.digest.hexdigest()))
                file.stream.close()
                self._bytes_done += file.bytes
                self._done.add(name)
                del self._growing[name]
        return finished

    def close(self) -> None:
        """Let go of the files."""
        for file in self._growing.values():
            file.stream.close()
        self._growing.clear()
