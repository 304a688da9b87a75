"""STAND-IN for Auth: sign in with a password (of `auth.users`, bcrypt by pgcrypto), refresh, the user, sign out.

Sources: the bodies that `supabase_auth` parses; error bodies of Auth's documentation, "Error codes".
"""

from __future__ import annotations

import json
import secrets
import time
from typing import Any

import psycopg
from starlette.requests import Request

from . import keys
from .gateway import Failure, as_json, caller_of
from .model import Answer
from .project import Project

SESSION_S = 3600

_USER = """
SELECT id::text, coalesce(aud, 'authenticated'), coalesce(role, 'authenticated'), email, email_confirmed_at,
       coalesce(raw_app_meta_data, '{}'), coalesce(raw_user_meta_data, '{}'), created_at, updated_at
FROM auth.users
"""
_CREATE = """
INSERT INTO auth.users (instance_id, id, aud, role, email, encrypted_password, email_confirmed_at, raw_app_meta_data,
                        raw_user_meta_data, created_at, updated_at)
VALUES ('00000000-0000-0000-0000-000000000000', gen_random_uuid(), 'authenticated', 'authenticated', lower(%(email)s),
        %(hash)s, now(), '{"provider": "email", "providers": ["email"]}', '{}', now(), now())
RETURNING id
"""


class Auth:
    """The Auth service of one project."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._refreshing: dict[str, str] = {}

    async def answer(self, request: Request, path: str) -> Answer:
        """Answer one request; `path`: what follows `/auth/v1/`."""
        caller = caller_of(self._project, request)
        body = json.loads(await request.body() or b"{}")
        try:
            if path == "health":
                return as_json({"name": "GoTrue", "version": "v2.180.0", "description": "stand-in"})
            if path == "token" and request.method == "POST":
                return as_json(await self._token(request.query_params.get("grant_type", ""), body))
            if path == "logout":
                return Answer(status=204)
            if path == "user" and caller.user is not None:
                return as_json(await self._user("id = %s", caller.user))
            if path == "admin/users" and request.method == "POST" and caller.role == "service_role":
                return as_json(await self._user("id = %s", await self.create(body["email"], body["password"])))
        except psycopg.OperationalError as error:
            raise _failure(500, "unexpected_failure", "Database error") from error
        raise _failure(404, "not_found", f"The simulator's stand-in for Auth does not have {request.method} {path}")

    async def create(self, email: str, password: str) -> str:
        """Add a confirmed user, as the role that the service has: triggers run as that role; the new id."""
        hashed = await self._hash("SELECT crypt(%s, gen_salt('bf', 4))", password)
        async with await psycopg.AsyncConnection.connect(self._project.url("supabase_auth_admin")) as connection:
            cursor = await connection.execute(_CREATE, {"email": email, "hash": hashed})
            row = await cursor.fetchone()
            assert row is not None
            return str(row[0])

    async def _token(self, grant: str, body: dict[str, Any]) -> dict[str, Any]:
        if grant == "password":
            stored = "(SELECT encrypted_password FROM auth.users WHERE email = lower(%s))"
            email = body.get("email", "")
            hashed = await self._hash(f"SELECT crypt(%s, {stored})", body.get("password", ""), email)
            user = await self._user("email = lower(%s) AND encrypted_password = %s", email, hashed)
        elif grant == "refresh_token":
            known = self._refreshing.pop(body.get("refresh_token", ""), None)
            if known is None:
                raise _failure(400, "refresh_token_not_found", "Invalid Refresh Token: Refresh Token Not Found")
            user = await self._user("id = %s", known)
        else:
            raise _failure(400, "validation_failed", f"unsupported grant_type: {grant}")
        now = int(time.time())
        claims = {
            "iss": "simulator/auth/v1",
            "sub": user["id"],
            "aud": "authenticated",
            "role": user["role"],
            "email": user["email"],
            "iat": now,
            "exp": now + SESSION_S,
            "app_metadata": user["app_metadata"],
            "user_metadata": user["user_metadata"],
            "aal": "aal1",
            "session_id": secrets.token_hex(16),
            "is_anonymous": False,
        }
        refresh = secrets.token_urlsafe(12)
        self._refreshing[refresh] = user["id"]
        return {
            "access_token": keys.sign(self._project, claims),
            "token_type": "bearer",
            "expires_in": SESSION_S,
            "expires_at": now + SESSION_S,
            "refresh_token": refresh,
            "user": user,
        }

    async def _hash(self, query: str, *values: str) -> str:
        """What pgcrypto says, which the service's own role may not use: the real one hashes by itself."""
        async with await psycopg.AsyncConnection.connect(self._project.admin_url) as connection:
            cursor = await connection.execute(query.encode(), values)
            row = await cursor.fetchone()
        return str(row[0]) if row else ""

    async def _user(self, condition: str, *values: str) -> dict[str, Any]:
        async with await psycopg.AsyncConnection.connect(self._project.url("supabase_auth_admin")) as connection:
            cursor = await connection.execute(f"{_USER} WHERE {condition}".encode(), values)
            row = await cursor.fetchone()
        if row is None:
            raise _failure(400, "invalid_credentials", "Invalid login credentials")
        names = (
            *("id", "aud", "role", "email", "email_confirmed_at", "app_metadata", "user_metadata"),
            *("created_at", "updated_at"),
        )
        return {**dict(zip(names, row, strict=True)), "identities": [], "is_anonymous": False}


def _failure(status: int, code: str, message: str) -> Failure:
    return Failure(status, {"code": status, "error_code": code, "msg": message})
