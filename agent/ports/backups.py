"""What backups are made with, where they lie, and how they are encrypted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Protocol

from agent.core.backups import StoredFile


class PgTools(Protocol):
    """pg_dump, pg_restore and psql, of the server's major version or newer, for one database."""

    async def versions(self) -> Mapping[str, str]:
        """Path and version of each tool found.

        Raises:
            ToolError: `tool.not_found`.
        """
        ...

    async def dump(
        self,
        *,
        server_major: int,
        schemas: Sequence[str],
        snapshot_id: str,
        into: Path,
        jobs: int,
        on_progress: Callable[[int], None],
        on_file: Callable[[StoredFile], Awaitable[None]],
        data_only: bool = False,
        without_tables: Sequence[str] = (),
    ) -> str:
        """Run `pg_dump --format=directory`; returns the tool's version.

        Args:
            schemas: of the archive; without any it has no entries.
            into: a folder that does not exist yet.
            on_progress: called with the bytes written so far, a few times a second.
            on_file: called for each file once it is complete, with its name in `into`, size and hash.

        Raises:
            ToolError: `tool.not_found`, `tool.too_old`, `tool.failed` (with the tool's last lines).
            BackupError: `backup.disk_full`, `backup.connection_lost`, `backup.lock_not_available`.
        """
        ...

    async def listing(self, archive: Path) -> str:
        """`pg_restore --list --verbose` of a directory archive.

        Raises:
            BackupError: `backup.unreadable`.
        """
        ...

    async def script(self, archive: Path, listing: str) -> str:
        """The SQL of the archive's entries in `listing`, each under a comment that gives its dump id.

        Raises:
            BackupError: `backup.unreadable`.
        """
        ...

    def rows(self, archive: Path, listing: str) -> AbstractAsyncContextManager[tuple[str, AsyncIterator[bytes]]]:
        """The rows of the one table in `listing`: the statement `COPY … FROM stdin`, and what it reads, in blocks.

        Raises:
            BackupError: `backup.unreadable`, in place of the end of the rows.
        """
        ...

    async def load(self, *, archive: Path, listing: str, jobs: int, on_entry: Callable[[str], None]) -> None:
        """`pg_restore --jobs`: the archive's entries in `listing`, each in a transaction of its own, several at once.

        Args:
            on_entry: called with the dump id of each entry that is done, once rows and indexes are at it.

        Raises:
            BackupError: `backup.unreadable`, `backup.connection_lost`.
            TargetError: `restore.missing_privilege`, `restore.server_disk_full`, `restore.statement_failed`.
                In each case a part may have arrived.
        """
        ...

    async def restore(
        self,
        *,
        archive: Path,
        listing: str,
        before: str,
        after: str,
        between: str = "",
        rest: str = "",
        freeze: bool = False,
        search_path: str = "",
    ) -> None:
        """One transaction: the script `before`, the archive's entries in `listing`, the script `after`.

        Args:
            between: a script to run ahead of the entries in `rest`, if there are any; then comes `after`.
            rest: more entries.
            freeze: the rows of the last entries are written as COPY FREEZE does: their tables are made or truncated in
                this transaction.
            search_path: in force for the archive's entries; their own names need none, functions that they call may.

        Raises:
            BackupError: `backup.unreadable`: nothing was changed; `backup.connection_lost`: nor then, unless it was
                lost at the very COMMIT.
            StatementError: the database refused a statement; nothing was changed.
        """
        ...


class Upload(Protocol):
    """A backup while it is written. Nothing of it can be seen before `publish`."""

    @property
    def folder(self) -> Path:
        """A local folder: files are made here, then given to `keep`."""
        ...

    async def free_bytes(self) -> int:
        """Free space where the files are made."""
        ...

    async def keep(self, name: str) -> None:
        """The file `name` in `folder` is complete.

        Raises:
            BackupError: `backup.disk_full`, `backup.target_failed`.
        """
        ...

    async def publish(self, manifest: bytes) -> None:
        """Make the backup visible, whole."""
        ...


class ObjectStore(Protocol):
    """Where backups lie: a folder, S3, GCS, Azure, Supabase Storage. Keys are relative, with `/`."""

    @property
    def label(self) -> str:
        """The place for people: `file:///…` or `s3://bucket/prefix`; never a secret."""
        ...

    def upload(self, prefix: str, *, work_dir: Path | None = None) -> AbstractAsyncContextManager[Upload]:
        """Start a backup under `prefix`; what was not published at the end of the `async with` is removed.

        Args:
            work_dir: make the files here (in a private folder) and not at the target itself.
        """
        ...

    def local(self, prefix: str) -> Path | None:
        """The folder of a published backup, where the store is a local folder."""
        ...

    async def sweep(self) -> list[str]:
        """Remove what broken-off uploads left; returns their names."""
        ...

    async def put_bytes(self, key: str, content: bytes) -> None:
        """Store a small object, whole or not at all."""
        ...

    async def get_bytes(self, key: str) -> bytes:
        """Read a small object. Raises NotFoundError."""
        ...

    def chunks(self, key: str) -> AsyncIterator[bytes]:
        """Read an object, a piece at a time. Raises NotFoundError."""
        ...

    async def keys(self, prefix: str) -> list[str]:
        """The keys of all objects under a prefix, sorted."""
        ...

    async def delete(self, prefix: str) -> None:
        """Delete everything under a prefix."""
        ...

    async def close(self) -> None:
        """Give connections back; nothing is asked of the store afterwards."""
        ...


class Cipher(Protocol):
    """Encryption of a backup's files (age)."""

    @property
    def name(self) -> str:
        """What the manifest says, for instance `age`."""
        ...

    async def encrypt(self, source: Path, target: Path) -> StoredFile:
        """Encrypt a file, streamed; returns name, size and hash of the result.

        Raises:
            BackupError: `backup.disk_full`, `backup.encryption_failed`.
        """
        ...

    async def decrypt(self, source: Path, target: Path) -> None:
        """Decrypt a file, streamed.

        Raises:
            BackupError: `backup.identity_missing`, `backup.decryption_failed`.
        """
        ...
