"""Who may ask for what: a gate before everything but the probes, and what a request finds behind it."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from agent.core.access import Caller, Key, Scope, recognise
from agent.core.models import DeployRequest
from agent.errors import AuthError, ForbiddenError, TooOftenError
from agent.web.backend import Backend

OPEN = frozenset({"/livez", "/readyz"})
"""What everybody may ask: the probes of whoever runs the container."""

Keys = Callable[[], Sequence[Key]]
"""Who may call at this moment; none: everybody on this machine, and only to look."""

_HINT = "Send `Authorization: Bearer <token>` with a token of the agent's settings (http.token, http.tokens)."
_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "[::1]"})
_PORT = re.compile(r":\d+\Z")
_WINDOW_S = 60.0
_REFUSED_A_WINDOW = 20
_PATH_WIDTH = 200

_log = logging.getLogger("agent.web")
_bearer = HTTPBearer(auto_error=False, description="`http.token`, or one of `http.tokens`, of the agent's settings")


@dataclass(frozen=True, kw_only=True)
class Site:
    """What the application was made with; see `agent.web.app.create_app`."""

    backend: Backend
    default: DeployRequest


class Gate:
    """Lets through whoever has a token; what is behind it does not even read the others' requests.

    Refusals are in the log, without what was sent as a token. Beyond 20 a minute they are counted only, and answered
    with 429; a right token is let through at any time, so nobody can shut others out.

    Args:
        app: what is behind it.
        keys: who may call.
        seconds: a clock that never goes back.
    """

    def __init__(self, app: ASGIApp, *, keys: Keys, seconds: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._keys = keys
        self._seconds = seconds
        self._since = -_WINDOW_S
        self._refused = 0

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """See ASGI."""
        if scope["type"] == "http" and scope["path"] not in OPEN:
            try:
                scope.setdefault("state", {})["caller"] = self._caller(Headers(scope=scope))
            except AuthError as error:
                await answer(self._counted(error, scope))(scope, receive, send)
                return
        await self._app(scope, receive, send)

    def _caller(self, headers: Headers) -> Caller:
        keys = self._keys()
        if not keys:
            # A page in somebody's browser may call 127.0.0.1 by a name of its own choice (DNS rebinding).
            if _PORT.sub("", headers.get("host", "")) not in _THIS_MACHINE:
                raise ForbiddenError(
                    "this agent has no API token, so it answers only to the names of its own machine",
                    code="auth.host",
                    hint="Ask for it as localhost or 127.0.0.1, or set http.token.",
                )
            return Caller(name="", scope=Scope.READ)
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise AuthError("a bearer token is needed", code="auth.token_missing", hint=_HINT)
        caller = recognise(token.strip().encode("latin-1"), keys)  # as the bytes that came
        if caller is None:
            raise AuthError("the bearer token is not known to this agent", code="auth.token_refused", hint=_HINT)
        return caller

    def _counted(self, error: AuthError, scope: Connection) -> AuthError:
        now = self._seconds()
        if now - self._since >= _WINDOW_S:
            if self._refused > _REFUSED_A_WINDOW:
                _log.warning("requests refused", extra={"requests": self._refused, "within_s": _WINDOW_S})
            self._since, self._refused = now, 0
        self._refused += 1
        if self._refused > _REFUSED_A_WINDOW:
            return TooOftenError(
                "too many requests without a known token",
                code="auth.too_often",
                hint=f"{_HINT} Wrong ones are looked at again in {_WINDOW_S:.0f} s.",
            )
        fields = {
            "code": error.code,
            "client": (scope.get("client") or ("",))[0],
            "method": scope["method"],
            "path": scope["path"][:_PATH_WIDTH],
        }
        _log.warning("request refused", extra=fields)
        return error


def answer(error: AuthError) -> JSONResponse:
    """The error as every error is answered, with what HTTP wants beside it."""
    headers = {}
    if type(error) is AuthError:
        headers["WWW-Authenticate"] = "Bearer"  # RFC 6750
    elif isinstance(error, ForbiddenError):
        headers["WWW-Authenticate"] = 'Bearer error="insufficient_scope"'
    elif isinstance(error, TooOftenError):
        headers["Retry-After"] = f"{_WINDOW_S:.0f}"
    return JSONResponse(error.as_dict(), status_code=error.http_status, headers=headers)


async def _site(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


async def _backend(site: Annotated[Site, Depends(_site)]) -> Backend:
    return site.backend


async def _default(request: Request, site: Annotated[Site, Depends(_site)]) -> DeployRequest:
    caller: Caller = request.state.caller
    return site.default.model_copy(update={"requested_by": caller.label})


async def reader(request: Request, _: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> Caller:
    """May look: whoever came through the gate."""
    caller: Caller = request.state.caller
    return caller


async def operator(caller: Annotated[Caller, Depends(reader)]) -> Caller:
    """May act: only who has a token with that scope.

    Raises:
        AuthError: `auth.no_token_set`.
        ForbiddenError: `auth.scope`.
    """
    if caller.scope is Scope.OPERATE:
        return caller
    if not caller.name:
        raise AuthError(
            "this agent has no API token, so nothing can be asked of it over HTTP",
            code="auth.no_token_set",
            hint="Set DEPLOY_AGENT_HTTP__TOKEN or http.tokens (`deploy-agent token new` makes one).",
        )
    raise ForbiddenError(
        f"the token {caller.name} may look, and nothing else",
        code="auth.scope",
        hint="Use a token with scope operate.",
    )


Agent = Annotated[Backend, Depends(_backend)]
Default = Annotated[DeployRequest, Depends(_default)]
Operator = Annotated[Caller, Depends(operator)]
