"""Physical backups of the embedded server, and restores of it: to a second, to a named point, to a backup.

Base backups are copies of the data directory between `pg_backup_start` and `pg_backup_stop` (PostgreSQL documentation,
"Making a Base Backup Using the Low Level API"). The log of changes stays in `pg_wal` until a restore, which stops the
server and takes it from there; so nothing has to be archived meanwhile. Each restore begins a timeline; one to a second
follows the timeline that was live at that second, whatever was restored since.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql as pgsql

from agent.edges.embedded import EmbeddedPostgres

from .project import now

_KEPT_WAL = "2GB"
# Empty in a copy: made anew, or taken from the log (the same documentation, "Backing Up the Data Directory").
_EMPTY = (
    "pg_wal",
    "pg_replslot",
    "pg_dynshmem",
    "pg_notify",
    "pg_serial",
    "pg_snapshots",
    "pg_stat_tmp",
    "pg_subtrans",
)
_LEFT_OUT = ("postmaster.pid", "postmaster.opts")


@dataclass(frozen=True, kw_only=True)
class _Base:
    folder: Path
    finished_at: dt.datetime
    timeline: int


@dataclass(frozen=True, kw_only=True)
class _Point:
    made_at: dt.datetime
    timeline: int


class Physical:
    """The backups of one server. `start` takes the first one; then each second after it can be restored.

    Args:
        postgres: a running server whose databases all go back together.
    """

    def __init__(self, postgres: EmbeddedPostgres) -> None:
        self._postgres = postgres
        self._home = Path(tempfile.mkdtemp(prefix="physical-", dir=postgres.data.parent))
        self._archive = self._home / "wal"
        self._bases: dict[str, _Base] = {}
        self._points: dict[str, _Point] = {}
        self._timelines: list[tuple[dt.datetime, int]] = []
        self._restoring = asyncio.Lock()

    @property
    def earliest(self) -> dt.datetime:
        """The first moment that can be restored."""
        return min(base.finished_at for base in self._bases.values())

    @property
    def points(self) -> dict[str, dt.datetime]:
        """The restore points and when each was made."""
        return {name: point.made_at for name, point in self._points.items()}

    async def start(self) -> None:
        """Keep the log of changes from here on, and take the first base backup."""
        self._archive.mkdir()
        async with await self._connect() as connection:
            await connection.execute(pgsql.SQL("ALTER SYSTEM SET wal_keep_size = {}").format(_KEPT_WAL))
            await connection.execute("SELECT pg_reload_conf()")
        self._timelines.append((now(), await self._timeline()))
        await self.back_up("first")

    async def back_up(self, label: str) -> dt.datetime:
        """Take a base backup while the server runs; when it was complete."""
        folder = self._home / label
        async with await self._connect() as connection:
            await connection.execute("SELECT pg_backup_start(%s, true)", [label])
            await asyncio.to_thread(_copy_running, self._postgres.data, folder)
            cursor = await connection.execute("SELECT labelfile FROM pg_backup_stop(false)")
            row = await cursor.fetchone()
            assert row is not None
            (folder / "backup_label").write_text(row[0], encoding="utf-8")
        finished = now()
        self._bases[label] = _Base(folder=folder, finished_at=finished, timeline=await self._timeline())
        return finished

    async def make_point(self, name: str) -> dt.datetime:
        """Mark this moment in the log of changes."""
        async with await self._connect() as connection:
            await connection.execute("SELECT pg_create_restore_point(%s)", [name])
        made = now()
        self._points[name] = _Point(made_at=made, timeline=await self._timeline())
        return made

    async def restore_to(self, moment: dt.datetime) -> None:
        """Bring the server back to what it was at a moment: everything committed by then, and nothing after.

        Raises:
            ToolError: the server does not start from it; it stays stopped.
        """
        base = max(
            (base for base in self._bases.values() if base.finished_at <= moment), key=lambda base: base.finished_at
        )
        [*_, timeline] = [timeline for since, timeline in self._timelines if since <= moment]
        await self._restore(base, recovery_target_time=moment.isoformat(), recovery_target_timeline=str(timeline))

    async def restore_point(self, name: str) -> None:
        """Bring the server back to a restore point. Raises as `restore_to`."""
        point = self._points[name]
        bases = [base for base in self._bases.values() if base.finished_at <= point.made_at]
        base = max(bases, key=lambda base: base.finished_at)
        await self._restore(base, recovery_target_name=name, recovery_target_timeline=str(point.timeline))

    async def restore_backup(self, label: str) -> None:
        """Bring the server back to a base backup. Raises as `restore_to`."""
        base = self._bases[label]
        await self._restore(base, recovery_target="immediate", recovery_target_timeline=str(base.timeline))

    async def stop(self) -> None:
        """Stop the server with a log that any moment so far can be restored from. Does nothing when it is down."""
        await self._end_the_log()
        await self._postgres.halt()

    async def _restore(self, base: _Base, **target: str) -> None:
        async with self._restoring:
            await self.stop()
            await asyncio.to_thread(self._exchange, base, target)
            await self._postgres.resume()
            async with await self._connect() as connection:
                for name in (*target, "restore_command", "recovery_target_action", "hot_standby"):
                    await connection.execute(pgsql.SQL("ALTER SYSTEM RESET {}").format(pgsql.Identifier(name)))
                await connection.execute("SELECT pg_reload_conf()")
            self._timelines.append((now(), await self._timeline()))

    async def _end_the_log(self) -> None:
        """Commit something: recovery wants to see a later time than the moment that it is to stop at."""
        try:
            async with await self._connect() as connection:
                await connection.execute("SELECT pg_current_xact_id()")
        except psycopg.OperationalError:
            return  # it is down, so this was done before

    def _exchange(self, base: _Base, target: dict[str, str]) -> None:
        data = self._postgres.data
        for segment in (data / "pg_wal").iterdir():
            if segment.is_file():
                shutil.copyfile(segment, self._archive / segment.name)
        owner = data.stat()
        shutil.rmtree(data)
        shutil.copytree(base.folder, data)
        settings = {
            **target,
            "recovery_target_action": "promote",
            "hot_standby": "off",  # nobody gets in before the restore is done
            "restore_command": f'cp "{self._archive}/%f" "%p"',
        }
        with (data / "postgresql.auto.conf").open("a", encoding="utf-8") as configuration:
            configuration.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        (data / "recovery.signal").touch()
        data.chmod(0o700)
        _give([self._home, data], owner)

    async def _timeline(self) -> int:
        async with await self._connect() as connection:
            cursor = await connection.execute("SELECT pg_walfile_name(pg_current_wal_insert_lsn())")
            row = await cursor.fetchone()
        assert row is not None
        return int(row[0][:8], 16)

    async def _connect(self) -> psycopg.AsyncConnection:
        return await psycopg.AsyncConnection.connect(self._postgres.admin_url(), autocommit=True, connect_timeout=10)


def _copy_running(data: Path, folder: Path) -> None:
    """Copy a data directory that a server writes to: a file may be gone before it is read, which the log makes good."""

    def copy(source: str, target: str) -> str:
        try:
            return shutil.copyfile(source, target)
        except FileNotFoundError:
            return target

    def skip(within: str, names: list[str]) -> Iterable[str]:
        if Path(within) == data:
            return _LEFT_OUT
        return names if Path(within).parent == data and Path(within).name in _EMPTY else ()

    shutil.copytree(data, folder, copy_function=copy, ignore=skip)


def _give(folders: list[Path], owner: os.stat_result) -> None:
    """Make the server's user the owner, where the agent is another one."""
    if os.geteuid() == owner.st_uid:
        return
    for top in folders:
        for folder, _, files in os.walk(top):
            for path in (Path(folder), *(Path(folder) / name for name in files)):
                os.chown(path, owner.st_uid, owner.st_gid)
