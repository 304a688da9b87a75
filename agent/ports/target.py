"""The database that is deployed to, and a session with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Protocol, TypeVar

Row = dict[str, Any]
Params = Mapping[str, Any]
Names = Mapping[str, str | tuple[str, ...]]


class Notice(Protocol):
    """A NOTICE or WARNING that the server raised while a statement ran."""

    @property
    def severity(self) -> str:
        """NOTICE, WARNING or INFO."""
        ...

    @property
    def message(self) -> str:
        """The primary message."""
        ...

    @property
    def detail(self) -> str:
        """The DETAIL, or ""."""
        ...

    @property
    def hint(self) -> str:
        """The HINT, or ""."""
        ...

    @property
    def sqlstate(self) -> str:
        """Five characters."""
        ...

    @property
    def part(self) -> int:
        """The 1-based number of the transaction of `run_transactions` that raised it; elsewhere 0.

        In `run_many` that of the statement, or of the one before it: libpq may hand over a NOTICE ahead of a result.
        """
        ...


class Session(Protocol):
    """One connection to the target.

    `params` fill `%(name)s`; without them the text goes to the server as it is. `names` fill
    `{name}` with quoted identifiers. A statement that fails raises `StatementError` with its
    SQLSTATE; a connection that dies raises `TargetError` with code `target.connection_lost`.
    """

    @property
    def pid(self) -> int:
        """The backend's process id."""
        ...

    @property
    def login(self) -> str:
        """Who logged in, as the client named it: to a pooler, with the project's ref behind it."""
        ...

    async def rows(self, sql: str, params: Params | None = None, *, names: Names | None = None) -> list[Row]:
        """Run one statement and return all its rows, by column name."""
        ...

    async def value(self, sql: str, params: Params | None = None, *, names: Names | None = None) -> Any:  # noqa: ANN401 - whatever the column holds
        """Run one statement and return the first column of its only row, or None without a row."""
        ...

    async def run(self, sql: str, params: Params | None = None, *, names: Names | None = None) -> str:
        """Run one statement and return its command tag, for instance `CREATE TABLE`."""
        ...

    async def run_many(self, statements: Sequence[str]) -> None:
        """Run several statements, in order, with as few round trips as possible, inside the open transaction.

        Raises:
            StatementError: `where["statement"]` is the 1-based index of the one that failed.
        """
        ...

    def bind(self, sql: str, params: Params, *, names: Names | None = None) -> str:
        """The statement with its values as quoted literals: for a place in `run_many` or `run_transactions`."""
        ...

    async def run_transaction(self, statements: Sequence[str]) -> None:
        """BEGIN, the statements, COMMIT, in one round trip; rolled back whole if one fails.

        Raises:
            StatementError: `where["statement"]` is the 1-based index of the one that failed;
                `where["at"] == "commit"` if it was the COMMIT (a deferred constraint).
            TargetError: `target.transaction_failed`: it was not committed.
        """
        ...

    async def run_transactions(self, transactions: Sequence[Sequence[str]]) -> None:
        """Several transactions, each as `run_transaction` has it, one after the other, in one round trip.

        The first one that fails ends it: those before it are committed, those behind it have not begun.

        Raises:
            StatementError: `where["transaction"]` is the 1-based index of the one that failed; the rest as of
                `run_transaction`.
            TargetError: `target.transaction_failed`: one was not committed; the history says which.
        """
        ...

    async def copy_out(self, sql: str, write: Callable[[bytes], object]) -> None:
        """Run `COPY … TO STDOUT`; `write` is given whole rows, a block at a time, in a thread."""
        ...

    async def copy_in(self, sql: str, blocks: AsyncIterator[bytes]) -> None:
        """Run `COPY … FROM STDIN` with these blocks; an error in `blocks` ends it and is raised as it is."""
        ...

    def transaction(self, *, read_only: bool = False, repeatable: bool = False) -> AbstractAsyncContextManager[None]:
        """BEGIN … COMMIT, or ROLLBACK when the body raises; nested: a savepoint.

        `repeatable`: REPEATABLE READ, one snapshot for all statements; only of the outermost.
        """
        ...

    def on_notice(self, listener: Callable[[Notice], None] | None) -> None:
        """Hear NOTICEs as they are raised (None: stop listening)."""
        ...

    async def cancel(self) -> None:
        """Ask the server to cancel what this session is running, from another connection."""
        ...

    async def in_transaction(self) -> bool:
        """Whether a transaction block is open (also a failed one)."""
        ...

    async def close(self) -> None:
        """Close the connection; does nothing the second time."""
        ...


class Target(Protocol):
    """The database that is deployed to."""

    @property
    def label(self) -> str:
        """`host:port/database` for people; never a password."""
        ...

    async def connect(self, *, purpose: str) -> Session:
        """Open a session (autocommit). `application_name` becomes `deploy-agent/<purpose>`.

        Raises:
            TargetError: `target.unreachable`, `target.auth_failed`, `target.tls_refused`,
                `target.transaction_pooler`, `target.database_missing`, `target.too_many_connections`.
        """
        ...

    def session(self, *, purpose: str) -> AbstractAsyncContextManager[Session]:
        """`connect`, closed at the end of the `async with`."""
        ...


S = TypeVar("S", bound=Session)


@asynccontextmanager
async def closed_at_end(connecting: Awaitable[S]) -> AsyncIterator[S]:
    """A session from `Target.connect`, as `Target.session` gives it."""
    session = await connecting
    try:
        yield session
    finally:
        await session.close()
