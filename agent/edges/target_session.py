"""One connection to the target over psycopg 3: statements, transactions, notices, cancellation.

psycopg's errors end here; `target_errors` names them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
    nullcontext,
    suppress,
)
from dataclasses import dataclass
from functools import cache
from typing import Any

import psycopg
from psycopg import generators, pq, sql
from psycopg.adapt import Transformer
from psycopg.errors import Diagnostic
from psycopg.waiting import Wait

from agent import sql as files
from agent.edges import target_copy
from agent.edges import target_errors as errors
from agent.edges import target_script as script
from agent.edges.target_watch import Watch
from agent.errors import StatementError, TargetError
from agent.ports import Names, Notice, Params, Row

_OPEN = frozenset({pq.TransactionStatus.INTRANS, pq.TransactionStatus.INERROR, pq.TransactionStatus.ACTIVE})
_PLACEHOLDER = re.compile(r"%(?:\((\w+)\)s|%)")


@dataclass(frozen=True, kw_only=True)
class ServerNotice:
    """A NOTICE or WARNING; implements `ports.Notice`."""

    severity: str
    message: str
    detail: str
    hint: str
    sqlstate: str
    part: int = 0


class PsycopgSession:
    """One connection; implements `ports.Session`. Made by `PsycopgTarget.connect`."""

    def __init__(self, connection: psycopg.AsyncConnection, *, label: str) -> None:
        self._connection = connection
        self._label = label
        self._pid = 0
        self._depth = 0
        self._cancelled = False
        self.watch: Watch | None = None
        self._listener: Callable[[Notice], None] | None = None
        self._ends: Callable[[], Sequence[int]] = tuple
        self._results: list[pq.abc.PGresult] = []
        connection.add_notice_handler(self._heard)

    @property
    def pid(self) -> int:
        """The backend's process id, as the server itself says (behind a pooler libpq's differs)."""
        return self._pid

    @property
    def login(self) -> str:
        """See `ports.Session.login`."""
        return self._connection.info.user

    @property
    def behind_pooler(self) -> bool:
        """Whether something between the agent and the server answers for it."""
        return self._connection.info.backend_pid != self._pid

    async def start(self) -> None:
        """Send the session's first words."""
        results = await self._query(files.load("target/connect"))
        self._pid = int(results[-1].get_value(0, 0) or 0)

    async def rows(self, sql: str, params: Params | None = None, *, names: Names | None = None) -> list[Row]:
        """See `ports.Session.rows`."""
        result = await self._one(sql, params, names)
        if result.status != pq.ExecStatus.TUPLES_OK:
            return []
        columns = [(result.fname(index) or b"").decode() for index in range(result.nfields)]
        loader = Transformer(self._connection)
        with self._translating():
            loader.set_pgresult(result)
            return loader.load_rows(0, result.ntuples, lambda values: dict(zip(columns, values, strict=True)))

    async def value(self, sql: str, params: Params | None = None, *, names: Names | None = None) -> Any:  # noqa: ANN401 - whatever the column holds
        """See `ports.Session.value`."""
        rows = await self.rows(sql, params, names=names)
        return next(iter(rows[0].values())) if rows else None

    async def run(self, sql: str, params: Params | None = None, *, names: Names | None = None) -> str:
        """See `ports.Session.run`."""
        return ((await self._one(sql, params, names)).command_status or b"").decode()

    def bind(self, sql: str, params: Params, *, names: Names | None = None) -> str:
        """See `ports.Session.bind`. Texts, and lists of texts or numbers, are quoted here: each file has such.

        What else there is psycopg's client-side cursor quotes, which takes several times as long.
        """
        with self._translating():
            text = _with_names(sql, names, self._connection, params)
            literals = {name: self._literal(value) for name, value in params.items()}
            if None in literals.values():
                return psycopg.AsyncClientCursor(self._connection).mogrify(text.encode(), params)
            return _PLACEHOLDER.sub(lambda found: literals[found[1]] or "" if found[1] else "%", text)

    def _literal(self, value: object) -> str | None:
        """The value as psycopg writes it; None: psycopg itself knows how."""
        if isinstance(value, list) and value:
            if all(type(item) is int for item in value):
                return f"'{{{','.join(map(str, value))}}}'"
            if not all(type(item) is str for item in value):
                return None
            value = f"{{{','.join(map(_element, value))}}}"
        if type(value) is not str or "\0" in value:  # libpq would end there; psycopg refuses it
            return None
        return bytes(pq.Escaping(self._connection.pgconn).escape_literal(value.encode())).decode()

    async def run_many(self, statements: Sequence[str]) -> None:
        """See `ports.Session.run_many`: one message of the simple query protocol.

        The server parses the whole text before it runs the first statement. Where a statement changes how the next
        ones are parsed, each is sent by itself.
        """
        if not statements:
            return
        text = script.join(statements)
        if script.changes_parsing(text):
            await self._run_singly(statements)
            return
        try:
            await self._query(text, parts=[[one] for one in statements])
        except StatementError as error:
            script.blame(error, statements)
            raise

    async def run_transaction(self, statements: Sequence[str]) -> None:
        """See `ports.Session.run_transaction`."""
        try:
            await self.run_transactions([statements])
        except StatementError as error:
            error.where.pop("transaction", None)
            raise

    async def run_transactions(self, transactions: Sequence[Sequence[str]]) -> None:
        """See `ports.Session.run_transactions`: one message of the simple query protocol, as in `run_many`."""
        whole = [["BEGIN", *statements, "COMMIT"] for statements in transactions]
        text = script.join([statement for one in whole for statement in one])
        if script.changes_parsing(text):
            await self._each_singly(transactions)
            return
        try:
            results = await self._query(text, parts=whole)
        except StatementError as error:
            if error.where.get("done") == 0 and len(transactions) > 1:
                # One of them does not parse, so none has begun. Those before it are to be committed all the same.
                await self._each_by_itself(transactions)
                return
            script.blame_transaction(error, whole)
            raise
        finally:
            if await self.in_transaction():
                await self._query("ROLLBACK")
        tags = [result.command_status for result in results]
        if tags[-1] != b"COMMIT" or b"ROLLBACK" in tags:
            raise _not_committed()

    async def _each_by_itself(self, transactions: Sequence[Sequence[str]]) -> None:
        for number, statements in enumerate(transactions, start=1):
            try:
                await self.run_transactions([statements])
            except StatementError as error:
                error.where["transaction"] = number
                raise

    async def _each_singly(self, transactions: Sequence[Sequence[str]]) -> None:
        for number, statements in enumerate(transactions, start=1):
            try:
                async with self.transaction():
                    await self._run_singly(statements)
            except StatementError as error:
                error.where["transaction"] = number
                if error.where.pop("done", None) is not None:
                    error.where["at"] = "commit"
                raise

    async def _run_singly(self, statements: Sequence[str]) -> None:
        for index, statement in enumerate(statements, start=1):
            try:
                await self._query(statement)
            except StatementError as error:
                error.where.pop("done", None)
                error.where["statement"] = index
                raise

    @asynccontextmanager
    async def _transaction(self, begin: str) -> AsyncIterator[None]:
        savepoint = f"deploy_agent_{self._depth}" if self._depth else ""
        await self._query(f"SAVEPOINT {savepoint}" if savepoint else begin)
        self._depth += 1
        try:
            yield
        except BaseException:
            self._depth -= 1
            if await self.in_transaction():
                await self._query(
                    f"ROLLBACK TO SAVEPOINT {savepoint}; RELEASE SAVEPOINT {savepoint}" if savepoint else "ROLLBACK"
                )
            raise
        self._depth -= 1
        if not await self.in_transaction():
            raise TargetError(
                "a statement ended the transaction that was to hold it",
                code="target.transaction_ended",
                hint="Take COMMIT and ROLLBACK out of the SQL that runs here.",
            )
        tag = (await self._query(f"RELEASE SAVEPOINT {savepoint}" if savepoint else "COMMIT"))[-1].command_status
        if tag not in {b"COMMIT", b"RELEASE"}:  # COMMIT of a failed transaction answers ROLLBACK, without an error
            raise _not_committed()

    async def copy_out(self, sql: str, write: Callable[[bytes], object]) -> None:
        """See `ports.Session.copy_out`."""
        self._cancelled = False
        with self._translating(), self._watched():
            await target_copy.copy_out(self._connection, sql, write)

    async def copy_in(self, sql: str, blocks: AsyncIterator[bytes]) -> None:
        """See `ports.Session.copy_in`."""
        self._cancelled = False
        with self._translating(), self._watched():
            await target_copy.copy_in(self._connection, sql, blocks)

    def transaction(self, *, read_only: bool = False, repeatable: bool = False) -> AbstractAsyncContextManager[None]:
        """See `ports.Session.transaction`.

        Raises:
            TargetError: `target.transaction_ended`, `target.transaction_failed`: the body did not leave the
                transaction as it found it; nothing is called committed that is not.
        """
        isolation = " ISOLATION LEVEL REPEATABLE READ" if repeatable else ""
        return self._transaction(f"BEGIN{isolation}{' READ ONLY' if read_only else ''}")

    def on_notice(self, listener: Callable[[Notice], None] | None) -> None:
        """See `ports.Session.on_notice`."""
        self._listener = listener

    async def cancel(self) -> None:
        """See `ports.Session.cancel`. Uses the connection's own TLS settings (libpq 17's PQcancelStart)."""
        self._cancelled = True
        try:
            await self._connection.cancel_safe(timeout=10)
        except psycopg.Error as error:
            raise errors.connection_lost(self._label, str(error)) from error

    async def in_transaction(self) -> bool:
        """See `ports.Session.in_transaction`; libpq knows, no round trip."""
        return self._connection.pgconn.transaction_status in _OPEN

    async def close(self) -> None:
        """See `ports.Session.close`. A statement that still runs is cancelled first: it must not go on unseen."""
        if self._connection.pgconn.transaction_status == pq.TransactionStatus.ACTIVE:
            with suppress(psycopg.Error):  # it is given up anyway; the server notices when the socket closes
                await self._connection.cancel_safe(timeout=5)
        await self._connection.close()

    async def _one(self, text: str, params: Params | None, names: Names | None) -> pq.abc.PGresult:
        """Run one statement; its (last) result."""
        with self._translating():
            text = _with_names(text, names, self._connection, params)
        if params is None:
            return (await self._query(text))[-1]
        _refuse_nul(text)
        self._cancelled = False
        with self._translating(), self._watched():
            cursor = self._connection.cursor()
            await cursor.execute(text.encode(), params)
        result = cursor.pgresult
        if result is None:
            raise TargetError("the statement was answered without a result", code="target.protocol")
        return result

    async def _query(self, text: str, *, parts: Sequence[Sequence[str]] = ()) -> list[pq.abc.PGresult]:
        """Send a text, of one statement or several, by the simple query protocol; all results.

        Args:
            parts: what the text is made of, so that a NOTICE can say which part raised it.
        """
        _refuse_nul(text)
        connection = self._connection
        self._cancelled = False
        async with connection.lock:
            # counted only if there is a NOTICE
            self._ends, self._results = cache(lambda: script.ends(parts)), []
            try:
                with self._translating(), self._watched():
                    connection.pgconn.send_query(text.encode())
                    await connection.wait(_results(connection.pgconn, self._results))
            finally:
                self._ends, results = tuple, self._results
        if results[-1].status == pq.ExecStatus.FATAL_ERROR:
            copying = len(results) > 1 and results[-2].status == pq.ExecStatus.COPY_IN
            failure = (
                errors.copy_refused()
                if copying
                else errors.from_result(
                    results[-1], label=self._label, closed=self._is_closed(), cancelled=self._cancelled
                )
            )
            failure.where["done"] = len(results) - (2 if copying else 1)
            raise failure
        return results

    def _watched(self) -> AbstractContextManager[None]:
        if self.watch is None or self._is_closed():
            return nullcontext()
        return self.watch.over(self._connection.pgconn.socket)

    @contextmanager
    def _translating(self) -> Iterator[None]:
        try:
            yield
        except psycopg.Error as error:
            if self.watch is not None and self.watch.reason:
                raise errors.connection_lost(self._label, self.watch.reason) from error
            raise errors.from_statement(
                error, label=self._label, closed=self._is_closed(), cancelled=self._cancelled
            ) from error

    def _is_closed(self) -> bool:
        return self._connection.closed or self._connection.pgconn.status == pq.ConnStatus.BAD

    def _heard(self, diag: Diagnostic) -> None:
        if self._listener is not None:
            self._listener(
                ServerNotice(
                    severity=diag.severity_nonlocalized or diag.severity or "NOTICE",
                    message=diag.message_primary or "",
                    detail=diag.message_detail or "",
                    hint=diag.message_hint or "",
                    sqlstate=diag.sqlstate or "",
                    part=self._part(),
                )
            )

    def _part(self) -> int:
        """See `ports.Notice.part`."""
        ends = self._ends()
        return min(bisect_right(ends, len(self._results)) + 1, len(ends))


def _results(pgconn: pq.abc.PGconn, results: list[pq.abc.PGresult]) -> Generator[Any, Any, None]:
    """Collect the results of what was sent, each as soon as it is there.

    COPY FROM STDIN is answered with a failure, for there is no data to send; what COPY TO STDOUT says is dropped.
    """
    yield from generators.send(pgconn)
    while (result := (yield from generators.fetch(pgconn))) is not None:
        if result.status == pq.ExecStatus.COPY_IN:
            results.append(result)
            pgconn.put_copy_end(b"there is no data to copy")
            yield from generators.send(pgconn)
        elif result.status == pq.ExecStatus.COPY_OUT:
            while (size := pgconn.get_copy_data(1)[0]) >= 0:
                if size == 0:
                    yield Wait.R
                    pgconn.consume_input()
        else:
            results.append(result)


def _element(text: str) -> str:
    """A text in a literal of an array (PostgreSQL documentation, "Array Input and Output Syntax")."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _with_names(text: str, names: Names | None, connection: psycopg.AsyncConnection, params: Params | None) -> str:
    """Put quoted identifiers in the place of `{name}`; where parameters follow, a `%` of a name is no placeholder."""
    if not names:
        return text
    quoted = {
        key: sql.Identifier(*([name] if isinstance(name, str) else name)).as_string(connection)
        for key, name in names.items()
    }
    if params is not None:
        quoted = {key: name.replace("%", "%%") for key, name in quoted.items()}
    return sql.SQL(text).format(**{key: sql.SQL(name) for key, name in quoted.items()}).as_string(connection)


def _not_committed() -> TargetError:
    return TargetError(
        "the transaction had failed and was rolled back at COMMIT",
        code="target.transaction_failed",
        hint="An earlier statement of the transaction failed and its error was ignored.",
    )


def _refuse_nul(text: str) -> None:
    """A NUL would cut the statement short without a word: libpq takes C strings."""
    if "\0" in text:
        raise StatementError(
            "the SQL holds a NUL character",
            sqlstate="22021",
            position=text.index("\0") + 1,
            hint="PostgreSQL text cannot hold NUL; remove it from the file.",
        )
