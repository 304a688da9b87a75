"""The target database over psycopg 3 (async): how to reach it, and over what kind of connection.

Nothing is decided here: no retry, no timeout but the connection's own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from pydantic import SecretStr

from agent import sql as files
from agent.edges import target_diagnosis as diagnosis
from agent.edges import target_errors as errors
from agent.edges.target_session import PsycopgSession
from agent.edges.target_watch import Watch
from agent.errors import StatementError
from agent.ports import closed_at_end

__all__ = ["PsycopgSession", "PsycopgTarget"]


class PsycopgTarget:
    """One database, by its connection string; implements `ports.Target`.

    Args:
        dsn: URL or keyword form, as libpq takes it; what it says wins over the arguments here. A function is asked
            for each connection: passwords change.
        connect_timeout_s: seconds for each address of the host.
        dead_after_s: seconds without an answer from the peer's TCP stack until a connection counts as lost.

    Raises:
        InputError: `input.database_url`: the connection string cannot be parsed.
    """

    def __init__(
        self, dsn: SecretStr | Callable[[], SecretStr], *, connect_timeout_s: int = 10, dead_after_s: float = 60
    ) -> None:
        self._dsn = dsn if callable(dsn) else lambda: dsn
        # https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-PARAMKEYWORDS
        self._defaults: dict[str, Any] = {
            "connect_timeout": connect_timeout_s,
            "keepalives": 1,
            "keepalives_idle": max(1, round(dead_after_s / 2)),
            "keepalives_interval": max(1, round(dead_after_s / 6)),
            "keepalives_count": 3,
            "tcp_user_timeout": round(dead_after_s * 1000),
        }
        self._dead_after_s = dead_after_s
        self._label = diagnosis.label(self._params)
        self._pooler_checked = False

    @property
    def _params(self) -> dict[str, Any]:
        try:
            given = conninfo_to_dict(self._dsn().get_secret_value())
        except psycopg.ProgrammingError:
            raise errors.bad_dsn() from None
        if not diagnosis.plausible(given):
            raise errors.bad_dsn()
        return {**self._defaults, **given, "client_encoding": "UTF8"}

    @property
    def label(self) -> str:
        """`host:port/database`."""
        return self._label

    async def connect(self, *, purpose: str) -> PsycopgSession:
        """See `ports.Target.connect`."""
        session = await self._open(purpose)
        try:
            await self._refuse_transaction_pooler(session)
        except BaseException:
            await session.close()
            raise
        return session

    def session(self, *, purpose: str) -> AbstractAsyncContextManager[PsycopgSession]:
        """See `ports.Target.session`."""
        return closed_at_end(self.connect(purpose=purpose))

    async def _open(self, purpose: str, *, watched: bool = True) -> PsycopgSession:
        params = {**self._params, "application_name": f"deploy-agent/{purpose}"}
        try:
            connection = await psycopg.AsyncConnection.connect(autocommit=True, prepare_threshold=None, **params)
        except psycopg.Error as error:
            raise await diagnosis.explain(error, self._params, self._label) from error
        session = PsycopgSession(connection, label=self._label)
        if watched:
            session.watch = Watch(lambda: self._ask_about(session.pid), after_s=self._dead_after_s)
        try:
            await session.start()
        except StatementError as error:
            await session.close()
            if "ESETNOTALLOWED" in error.message:  # Supavisor in transaction mode, told to reject SET
                raise diagnosis.transaction_pooler(self._label) from error
            raise
        except BaseException:
            await session.close()
            raise
        return session

    async def _ask_about(self, pid: int) -> tuple[str, float] | None:
        """What the server says about a backend, asked over a connection of its own that nobody watches."""
        try:
            async with asyncio.timeout(self._dead_after_s):
                session = await self._open("watch", watched=False)
                try:
                    rows = await session.rows(files.load("target/backend"), {"pid": pid})
                finally:
                    await session.close()
        except TimeoutError:
            raise errors.connection_lost(self._label, "no answer") from None
        return (rows[0]["state"] or "", rows[0]["seconds"] or 0.0) if rows else None

    async def _refuse_transaction_pooler(self, session: PsycopgSession) -> None:
        """A pooler hides the backend's pid; then see whether two clients are given the same backend.

        In session mode a backend belongs to one client until that client leaves. In transaction mode it is free after
        each statement, so a second client gets it, or takes it away from the first.
        """
        if self._pooler_checked or not session.behind_pooler:
            return
        other = await self._open("pooler-check")
        try:
            async with other.transaction(read_only=True):
                held = await other.value(files.load("target/pid"))
                again = await session.value(files.load("target/pid"))
        finally:
            await other.close()
        if held == session.pid or again != session.pid or diagnosis.port(self._params) == "6543":
            raise diagnosis.transaction_pooler(self._label)
        self._pooler_checked = True
