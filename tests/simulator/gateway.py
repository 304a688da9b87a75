"""STAND-INS for a project's own API: PostgREST, Auth and Storage, under `/rest/v1`, `/auth/v1` and `/storage/v1`.

None of the three is the real service: only the calls that the `supabase` Python package makes for probes are there, and
anything else is refused in plain words rather than guessed at. Real are the database, its roles and its row-level
security: each request runs as the role of its key or token, with `request.jwt.claims` set.

The project is the platform's first one, or the one whose ref begins the Host header (`<ref>.localhost`).
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql as pgsql
from starlette.requests import Request

from . import keys
from .model import Answer
from .project import Project


class Failure(Exception):  # noqa: N818 - as other words for outcomes here
    """An error answer of one of the three, whose bodies differ."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = body


@dataclass(frozen=True, kw_only=True)
class Caller:
    """Who asks.

    Args:
        role: the database role of the request.
        claims: what `request.jwt.claims` holds.
    """

    role: str
    claims: Mapping[str, Any]

    @property
    def user(self) -> str | None:
        """The id of a signed-in user."""
        return self.claims.get("sub")


def caller_of(project: Project, request: Request, *, strict: bool = True) -> Caller:
    """The caller of a request, from its token or, without one, from its API key.

    Raises:
        Failure: 401.
    """
    key = request.headers.get("apikey") or request.query_params.get("apikey") or ""
    bearer = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
    role = keys.role_of(project, key or bearer)
    if role is None:
        if not strict and not key and not bearer:
            return Caller(role="anon", claims={"role": "anon"})
        hint = "No `apikey` request header or url param was found." if not key else "Double check your API key."
        raise Failure(401, {"message": "Invalid API key" if key else "No API key found in request", "hint": hint})
    if not bearer or bearer == key:
        return Caller(role=role, claims={"role": role})
    claims = keys.read(project, bearer)
    if claims is None:
        body = {"code": "PGRST301", "details": None, "hint": None, "message": "JWSError JWSInvalidSignature"}
        raise Failure(401, body)
    return Caller(role=claims.get("role", "anon"), claims=claims)


@asynccontextmanager
async def as_caller(project: Project, caller: Caller, **settings: str) -> AsyncIterator[psycopg.AsyncConnection]:
    """A transaction as the caller; committed at the end.

    Args:
        settings: settings of the transaction, with `__` for a dot.
    """
    connection = await psycopg.AsyncConnection.connect(
        project.url("authenticator"), connect_timeout=10, application_name="postgrest"
    )
    async with connection:
        await connection.execute(pgsql.SQL("SET LOCAL ROLE {}").format(pgsql.Identifier(caller.role)))
        values = {"request.jwt.claims": json.dumps(dict(caller.claims)), **settings}
        for name, value in values.items():
            await connection.execute("SELECT set_config(%s, %s, true)", [name.replace("__", "."), value])
        yield connection


def as_json(body: Any, status: int = 200, **headers: str) -> Answer:
    """An answer of JSON."""
    return Answer(
        status=status,
        body=json.dumps(body, default=str, ensure_ascii=False).encode(),
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )
