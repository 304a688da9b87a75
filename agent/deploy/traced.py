"""A target whose statements are spans, and whose own statements say to the server which trace they belong to.

Only statements that stand in `sql/` get the comment. What comes from a migration, a runbook or pg_restore goes to the
server as it is, to the byte: the history, error positions and function bodies know nothing of traces.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any

from agent import sql
from agent.ports import (
    Attributes,
    Names,
    Notice,
    Params,
    Row,
    Session,
    Span,
    Target,
    Tracer,
    closed_at_end,
    trace_comment,
)

_NOT_OURS = "SQL"
# https://opentelemetry.io/docs/specs/semconv/database/database-spans/
_POSTGRES: Attributes = {"db.system.name": "postgresql"}


class TracedTarget:
    """`ports.Target` over another one."""

    def __init__(self, target: Target, tracer: Tracer) -> None:
        self._target = target
        self._tracer = tracer

    @property
    def label(self) -> str:
        """See `ports.Target.label`."""
        return self._target.label

    async def connect(self, *, purpose: str) -> Session:
        """See `ports.Target.connect`."""
        with self._tracer.span("connect", _POSTGRES, client=True):
            return TracedSession(await self._target.connect(purpose=purpose), self._tracer)

    def session(self, *, purpose: str) -> AbstractAsyncContextManager[Session]:
        """See `ports.Target.session`."""
        return closed_at_end(self.connect(purpose=purpose))


class TracedSession:
    """`ports.Session` over another one."""

    def __init__(self, session: Session, tracer: Tracer) -> None:
        self._session = session
        self._tracer = tracer

    @property
    def pid(self) -> int:
        """See `ports.Session.pid`."""
        return self._session.pid

    @property
    def login(self) -> str:
        """See `ports.Session.login`."""
        return self._session.login

    def _asked(self, name: str) -> AbstractContextManager[Span]:
        return self._tracer.span(name, {**_POSTGRES, "db.query.summary": name}, client=True)

    def _message(self, statements: int) -> AbstractContextManager[Span]:
        return self._tracer.span("message", {**_POSTGRES, "db.operation.batch.size": statements}, client=True)

    def _one(self, text: str) -> tuple[str, AbstractContextManager[Span]]:
        """The statement as it is sent, and its span, named after the file it stands in."""
        name = sql.name_of(text)
        return (text + trace_comment() if name else text), self._asked(name or _NOT_OURS)

    async def rows(self, sql: str, params: Params | None = None, *, names: Names | None = None) -> list[Row]:
        """See `ports.Session.rows`."""
        text, span = self._one(sql)
        with span:
            return await self._session.rows(text, params, names=names)

    async def value(self, sql: str, params: Params | None = None, *, names: Names | None = None) -> Any:  # noqa: ANN401 - whatever the column holds
        """See `ports.Session.value`."""
        text, span = self._one(sql)
        with span:
            return await self._session.value(text, params, names=names)

    async def run(self, sql: str, params: Params | None = None, *, names: Names | None = None) -> str:
        """See `ports.Session.run`."""
        text, span = self._one(sql)
        with span:
            return await self._session.run(text, params, names=names)

    async def run_many(self, statements: Sequence[str]) -> None:
        """See `ports.Session.run_many`."""
        with self._message(len(statements)):
            await self._session.run_many(statements)

    def bind(self, sql: str, params: Params, *, names: Names | None = None) -> str:
        """See `ports.Session.bind`."""
        return self._session.bind(sql, params, names=names)

    async def run_transaction(self, statements: Sequence[str]) -> None:
        """See `ports.Session.run_transaction`."""
        with self._message(len(statements)):
            await self._session.run_transaction(statements)

    async def run_transactions(self, transactions: Sequence[Sequence[str]]) -> None:
        """See `ports.Session.run_transactions`."""
        with self._message(sum(len(one) for one in transactions)):
            await self._session.run_transactions(transactions)

    async def copy_out(self, sql: str, write: Callable[[bytes], object]) -> None:
        """See `ports.Session.copy_out`."""
        with self._asked("COPY"):
            await self._session.copy_out(sql, write)

    async def copy_in(self, sql: str, blocks: AsyncIterator[bytes]) -> None:
        """See `ports.Session.copy_in`."""
        with self._asked("COPY"):
            await self._session.copy_in(sql, blocks)

    def transaction(self, *, read_only: bool = False, repeatable: bool = False) -> AbstractAsyncContextManager[None]:
        """See `ports.Session.transaction`."""
        return self._session.transaction(read_only=read_only, repeatable=repeatable)

    def on_notice(self, listener: Callable[[Notice], None] | None) -> None:
        """See `ports.Session.on_notice`."""
        self._session.on_notice(listener)

    async def cancel(self) -> None:
        """See `ports.Session.cancel`."""
        await self._session.cancel()

    async def in_transaction(self) -> bool:
        """See `ports.Session.in_transaction`."""
        return await self._session.in_transaction()

    async def close(self) -> None:
        """See `ports.Session.close`."""
        await self._session.close()
