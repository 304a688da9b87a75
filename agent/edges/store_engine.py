"""How the store's database is opened, prepared and spoken to; its failures as `StoreError`.

SQLite: write-ahead log, foreign keys, writers queue at BEGIN IMMEDIATE for at most `BUSY_TIMEOUT_S`.
A state change is synced to the disk before it is reported (`synchronous = FULL`); other writes
survive a killed process at once and a power cut with the next state change (`NORMAL`).
See https://www.sqlite.org/pragma.html#pragma_synchronous and https://www.sqlite.org/wal.html.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, event, func, insert, inspect, select, update
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.schema import CreateSchema

from agent.edges.store_schema import SCHEMA, VERSION, meta, metadata
from agent.errors import AgentError, InputError, StoreError

BUSY_TIMEOUT_S = 10.0
_LOCK_KEY = 0x5D_A6E27  # any number of our own: two agents must not create the tables at once
_FOUND = select(meta.c.value).where(meta.c.key == "version")
_CACHE_KIB = 256  # of each connection; 2 MiB, SQLite's default, would only ever hold plans that are read once
_SYNC = "agent_synchronous"  # execution option: the mode of a write transaction

_SQLITE_CASES: dict[int, tuple[str, str, str]] = {
    sqlite3.SQLITE_BUSY: ("locked", "is locked by another process", "Stop the other process, or give each its own."),
    sqlite3.SQLITE_LOCKED: ("locked", "is locked by another connection", "Stop the other process."),
    sqlite3.SQLITE_READONLY: ("read_only", "is read-only", "Make the state folder writable for the agent's user."),
    sqlite3.SQLITE_PERM: ("read_only", "may not be opened", "Make the state folder writable for the agent's user."),
    sqlite3.SQLITE_CANTOPEN: ("cannot_open", "cannot be opened", "Check that the state folder exists and is writable."),
    sqlite3.SQLITE_CORRUPT: ("corrupt", "is damaged", "Move the file away; the target's history table is unharmed."),
    sqlite3.SQLITE_NOTADB: ("corrupt", "is not an SQLite database", "Point `store_url` at another file."),
    sqlite3.SQLITE_FULL: ("disk_full", "cannot grow: the disk is full", "Free space on the state folder's volume."),
    sqlite3.SQLITE_IOERR: ("io", "cannot be read or written", "Check the state folder's volume."),
    sqlite3.SQLITE_CONSTRAINT: ("constraint", "refused a row that breaks a rule", "Please report this as a bug."),
}
_POSTGRES_CASES: dict[str, tuple[str, str, str]] = {
    "55P03": ("locked", "is locked by another session", "Try again; see pg_locks for who holds the lock."),
    "40P01": ("locked", "ran into a deadlock", "Try again."),
    "25006": ("read_only", "is read-only", "Point `store_url` at the primary."),
    "42501": ("no_privilege", "refuses the agent's role", "Grant the role CREATE on the database."),
    "53100": ("disk_full", "cannot grow: the disk is full", "Free space on the server."),
    "XX001": ("corrupt", "is damaged", "See the PostgreSQL log."),
    "XX002": ("corrupt", "is damaged", "See the PostgreSQL log."),
    "23": ("constraint", "refused a row that breaks a rule", "Please report this as a bug."),
    "08": ("unreachable", "cannot be reached", "Check host and port in `store_url`, and that the server runs."),
    "57P": ("unreachable", "is shutting down or starting", "Try again when the server is up."),
}
_REFUSED = ("refused", "refuses the connection", "Check user, password and database in `store_url`.")


def parse_url(url: str) -> URL:
    """The store's URL with the driver that the agent uses.

    Args:
        url: `sqlite:///path` or `postgresql://user:password@host/database`, with or without a driver.

    Raises:
        InputError: `settings.store_url`. The URL itself is not shown: it may hold a password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = None
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
    if parsed is None or (backend := parsed.drivername.partition("+")[0]) not in drivers:
        raise InputError(
            "store_url is not a URL of a store",
            code="settings.store_url",
            hint="Write sqlite:///folder/agent.db or postgresql://user:password@host:5432/database.",
            where={"field": "store_url"},
        )
    if backend == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise InputError(
            "store_url names no file; a store in memory would forget every deploy",
            code="settings.store_url",
            hint="Write sqlite:///folder/agent.db.",
            where={"field": "store_url"},
        )
    return parsed.set(drivername=drivers[backend])


def label_of(url: URL) -> str:
    """The store for people: the file, or host and database; never a password."""
    return str(url.database) if url.get_backend_name() == "sqlite" else f"{url.host or 'localhost'}/{url.database}"


def make_engine(url: URL) -> AsyncEngine:
    """An engine with the settings that the store relies on; an SQLite file is made where there is none."""
    if url.get_backend_name() == "postgresql":
        # A pooler in transaction mode must not see prepared statements; a dead server must not hang the agent.
        arguments = {"prepare_threshold": None, "connect_timeout": 10, "tcp_user_timeout": 30_000}
        engine = create_async_engine(url, pool_size=5, max_overflow=5, pool_pre_ping=True, connect_args=arguments)
        return engine.execution_options(schema_translate_map={None: SCHEMA})
    Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    use_wal(Path(str(url.database)))
    engine = create_async_engine(url, pool_size=2, max_overflow=0, connect_args={"timeout": BUSY_TIMEOUT_S})
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def use_wal(path: Path) -> None:
    """Make the file, and readers not wait for the writer; the mode stays with the file.

    To set it needs the file for itself and does not wait for that: of two that find a new file one would be refused.
    A file that cannot be opened is found here, too: aiosqlite's thread may answer when the event loop is gone already.
    """
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # goes with the descriptor
        with closing(sqlite3.connect(path, timeout=BUSY_TIMEOUT_S)) as connection:
            if connection.execute("PRAGMA journal_mode").fetchone() != ("wal",):
                connection.execute("PRAGMA journal_mode = WAL")
    finally:
        os.close(folder)


def _prepare_sqlite(connection: Any, _record: object) -> None:  # noqa: ANN401 - the driver's connection
    connection.isolation_level = None  # transactions begin where we say, not before the first INSERT
    try:
        with closing(connection.cursor()) as cursor:
            cursor.execute("PRAGMA foreign_keys = ON")
            cursor.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
    except BaseException:
        connection.close()  # nobody else would: its thread would outlive the event loop
        raise


def _begin_sqlite(connection: Connection) -> None:
    """A write takes the write lock at once: upgrading later could fail without waiting. A read is one statement."""
    wanted = connection.get_execution_options().get(_SYNC)
    if wanted is None:
        return
    if connection.info.get(_SYNC) != wanted:
        connection.exec_driver_sql(f"PRAGMA synchronous = {wanted}")
        connection.info[_SYNC] = wanted
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def for_reading(engine: AsyncEngine) -> AsyncEngine:
    """The engine for single SELECTs: no transaction around them."""
    return engine if engine.dialect.name == "sqlite" else engine.execution_options(isolation_level="AUTOCOMMIT")


def for_writing(engine: AsyncEngine, *, synced: bool) -> AsyncEngine:
    """The engine for write transactions; `synced`: on the disk before COMMIT returns."""
    return engine.execution_options(**{_SYNC: "FULL" if synced else "NORMAL"})


def create_tables(connection: Connection) -> None:
    """Create what is missing, and check the version.

    What an agent of an earlier version wrote stays: versions so far have only added tables.

    Raises:
        StoreError: `store.too_new`: a newer agent has written this store.
    """
    postgres = connection.dialect.name == "postgresql"
    schema = SCHEMA if postgres else None
    there = inspect(connection).has_table("meta", schema=schema)
    if not there or _is_older(connection.scalar(_FOUND)):
        if postgres:
            connection.execute(select(func.pg_advisory_xact_lock(_LOCK_KEY)))
            connection.execute(CreateSchema(SCHEMA, if_not_exists=True))
        metadata.create_all(connection)
        found = connection.scalar(_FOUND)  # by now: another agent may have been first
        if found is None:
            connection.execute(insert(meta).values(key="version", value=str(VERSION)))
        elif _is_older(found):
            connection.execute(update(meta).where(meta.c.key == "version").values(value=str(VERSION)))
    found = connection.scalar(_FOUND)
    if found is None or not found.isdigit() or int(found) > VERSION:
        raise StoreError(
            f"the store has version {found or 'unknown'}; this agent knows versions up to {VERSION}",
            code="store.too_new",
            hint="Run the newer agent that wrote this store, or give this one another store_url.",
        )


def _is_older(found: str | None) -> bool:
    return found is not None and found.isdigit() and int(found) < VERSION


@contextmanager
def translated(label: str) -> Iterator[None]:
    """Turn what the database libraries raise into `StoreError`, by error code, never by message text.

    Args:
        label: the store for people.
    """
    try:
        yield
    except AgentError:
        raise
    except PoolTimeoutError as error:
        raise _error(label, ("locked", "has no free connection", "Try again."), "") from error
    except DBAPIError as error:
        raise _from_driver(label, error.orig) from error
    except (sqlite3.Error, psycopg.Error) as error:
        raise _from_driver(label, error) from error
    except OSError as error:
        case = ("cannot_open", "cannot be opened", "Check that the state folder exists and is writable.")
        raise _error(label, case, error.strerror or "") from error


def _from_driver(label: str, error: BaseException | None) -> StoreError:
    case = None
    detail = ""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", None)
        case = None if code is None else _SQLITE_CASES.get(code & 0xFF)
        detail = str(error)
    elif isinstance(error, psycopg.Error) and error.sqlstate:
        state = error.sqlstate
        case = next((_POSTGRES_CASES[state[:n]] for n in (5, 3, 2) if state[:n] in _POSTGRES_CASES), None)
        detail = error.diag.message_primary or ""
    elif isinstance(error, psycopg.Error):
        # libpq gives no SQLSTATE for a connection that was not made. What the server said stands after FATAL; the
        # rest of the text is left out, since it may repeat the connection string.
        detail = " ".join(str(error).split()).rpartition("FATAL: ")[2] if "FATAL: " in str(error) else ""
        case = _REFUSED if detail else _POSTGRES_CASES["08"]
    return _error(label, case or ("failed", "failed", "See the cause in the agent's log."), detail)


def _error(label: str, case: tuple[str, str, str], detail: str) -> StoreError:
    name, what, hint = case
    tail = f" ({detail})" if detail else ""
    return StoreError(f"the store {label} {what}{tail}", code=f"store.{name}", hint=hint)
