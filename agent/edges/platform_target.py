"""The database as the Management API's read-only query route shows it: each read is one request of its own.

Nothing can be written here, and nothing outlives a request. What a transaction has set (`SET LOCAL`) is sent again
before each of its reads; a cursor is the query that it was declared for. Reads see the moment of their own request,
not that of their transaction. A value of `numeric` is a number, a date or a time is its text in ISO form.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any, NoReturn

from psycopg import sql

from agent import sql as files
from agent.errors import TargetError
from agent.ports import Names, Notice, Params, Platform, Row, Session

_PLACE = re.compile(r"%\((\w+)\)s|%%|\{(\w+)\}")
_REMARKS = re.compile(r"\A(?:\s*--[^\n]*\n)+")
_CURSOR = re.compile(r"\ADECLARE (\w+) NO SCROLL CURSOR FOR\n(.*)\Z", re.DOTALL)
_FETCH = re.compile(r"\AFETCH (\d+) FROM (\w+)\s*\Z")
_SETS = re.compile(r"\A(?:SET LOCAL|SELECT set_config\()", re.IGNORECASE)
_READERS = frozenset({"plan", "status", "doctor", "verify", "deploy", "support", "prune"})


class PlatformTarget:
    """Implements `ports.Target` as far as reading goes."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    @property
    def label(self) -> str:
        """See `ports.Target`."""
        return f"project {self._platform.ref}, over the Management API"

    async def connect(self, *, purpose: str) -> Session:
        """See `ports.Target`.

        Raises:
            TargetError: `target.api_only`: it is not for reading alone.
        """
        if purpose not in _READERS:
            raise api_only(f"{purpose!r} needs a connection to the database")
        return PlatformSession(self._platform)

    @asynccontextmanager
    async def session(self, *, purpose: str) -> AsyncIterator[Session]:
        """See `ports.Target`."""
        yield await self.connect(purpose=purpose)


class PlatformSession:
    """Implements `ports.Session` as far as reading goes; all else raises `target.api_only`."""

    pid = 0
    login = ""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._set: list[str] = []
        self._cursors: dict[str, str] = {}
        self._depth = 0

    async def rows(self, text: str, params: Params | None = None, *, names: Names | None = None) -> list[Row]:
        """See `ports.Session`.

        Raises:
            PlatformError: the API did not answer, or refuses.
        """
        query = _REMARKS.sub("", _filled(text, params, names))
        if _SETS.match(query) and self._depth:
            self._set.append(query)
            return []
        if fetch := _FETCH.match(query):
            cursor = files.load("via_api/cursor").replace("{rows}", fetch[1])
            query = cursor.replace("{query}", self._cursors[fetch[2]])
        wrapped = files.load("via_api/read").replace("{query}", query)
        sent = "\n;\n".join(["BEGIN READ ONLY", *self._set, wrapped, "ROLLBACK"])
        [answer] = await self._platform.query(sent, read_only=True)
        found: list[Row] = json.loads(answer["rows"], parse_float=Decimal)
        return found

    async def value(self, text: str, params: Params | None = None, *, names: Names | None = None) -> Any:  # noqa: ANN401 - whatever the column holds
        """See `ports.Session`."""
        found = await self.rows(text, params, names=names)
        return next(iter(found[0].values())) if found else None

    async def run(self, text: str, params: Params | None = None, *, names: Names | None = None) -> str:
        """See `ports.Session`: only settings of the transaction, and cursors."""
        statement = _REMARKS.sub("", _filled(text, params, names))
        if self._depth and (cursor := _CURSOR.match(statement)):
            self._cursors[cursor[1]] = cursor[2]
            return "DECLARE CURSOR"
        if self._depth and _SETS.match(statement):
            self._set.append(statement)
            return "SET"
        raise api_only("the read-only route of the Management API runs nothing but queries")

    def bind(self, text: str, params: Params, *, names: Names | None = None) -> str:
        """See `ports.Session`."""
        return _filled(text, params, names)

    @asynccontextmanager
    async def transaction(self, *, read_only: bool = False, repeatable: bool = False) -> AsyncIterator[None]:
        """See `ports.Session`; neither argument makes a difference here."""
        del read_only, repeatable
        before, cursors = list(self._set), dict(self._cursors)
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            self._set, self._cursors = before, cursors

    async def in_transaction(self) -> bool:
        """See `ports.Session`: what is seen is always committed."""
        return False

    def on_notice(self, listener: Callable[[Notice], None] | None) -> None:
        """See `ports.Session`: the API passes none on."""

    async def cancel(self) -> None:
        """See `ports.Session`: a request cannot be called back."""

    async def close(self) -> None:
        """See `ports.Session`: there is no connection."""

    async def run_many(self, statements: Sequence[str]) -> None:
        """Refused."""
        _refuse(statements)

    async def run_transaction(self, statements: Sequence[str]) -> None:
        """Refused."""
        _refuse(statements)

    async def run_transactions(self, transactions: Sequence[Sequence[str]]) -> None:
        """Refused."""
        _refuse(transactions)

    async def copy_out(self, text: str, write: Callable[[bytes], object]) -> None:
        """Refused."""
        _refuse(text, write)

    async def copy_in(self, text: str, blocks: AsyncIterator[bytes]) -> None:
        """Refused."""
        _refuse(text, blocks)


def _refuse(*_: object) -> NoReturn:
    raise api_only("the read-only route of the Management API runs nothing but queries")


def api_only(why: str) -> TargetError:
    """The error for what takes a connection, where there is none."""
    return TargetError(
        f"deploy.via is api: {why}",
        code="target.api_only",
        hint="Do it where the database can be reached, with deploy.via: database and database_url.",
        where={"field": "deploy.via"},
    )


def _filled(text: str, params: Params | None, names: Names | None) -> str:
    """The text with its values as quoted literals and its names as quoted identifiers."""
    if params is None and not names:
        return text

    def fill(place: re.Match[str]) -> str:
        if place[1] is not None and params is not None:
            return sql.Literal(params[place[1]]).as_string()
        if place[2] is not None and names is not None and place[2] in names:
            name = names[place[2]]
            return sql.Identifier(*([name] if isinstance(name, str) else name)).as_string()
        return "%" if place[0] == "%%" and params is not None else place[0]

    return _PLACE.sub(fill, text)
