"""The HTTP API as an application: endpoints, and one shape for every error."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent import __version__
from agent.core.models import DeployRequest
from agent.errors import AgentError, AuthError
from agent.web.access import Gate, Keys, Site, answer
from agent.web.backend import Backend
from agent.web.routes import API, Problem, operating, probes, reading

_DOCUMENT = f"{API}/openapi.json"
_MAX_BODY_BYTES = 64 * 1024  # an order is a few hundred bytes
_MAX_BODY_S = 10.0
_A_NAME = re.compile(r"[a-z_]{1,30}")
_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


def create_app(backend: Backend, *, default: DeployRequest, keys: Keys) -> FastAPI:
    """The application.

    Args:
        backend: the agent.
        default: what is deployed when the caller says nothing else.
        keys: who may call, asked at each request. Without any, whoever reaches the port may read, and nothing can be
            asked for.
    """
    app = FastAPI(
        title="supabase-deploy-agent",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=_DOCUMENT,
    )
    app.add_middleware(_BodyLimit)
    app.add_middleware(Gate, keys=keys)
    app.add_middleware(_Headers)  # the last one is the first to be asked
    app.state.site = Site(backend=backend, default=default)
    for router in (probes, reading, operating):
        app.router.routes.extend(router.routes)  # not included: each would be built once more, at the first request
    _answer_errors(app)
    return app


class _BodyLimit:
    """Refuses a body that is too long, or too slow, while it comes; its sender is known by then.

    Starlette's own limit does not answer as other errors do.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = _MAX_BODY_BYTES
        until = asyncio.get_running_loop().time() + _MAX_BODY_S
        complete = False

        async def limited() -> Message:
            nonlocal left, complete
            try:
                async with asyncio.timeout_at(None if complete else until):
                    message = await receive()
            except TimeoutError:
                raise HTTPException(408, f"the body did not come within {_MAX_BODY_S:g} s") from None
            complete = not message.get("more_body", False)
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413, f"the body is longer than {_MAX_BODY_BYTES} bytes")
            return message

        await self._app(scope, limited, send)


class _Headers:
    """Tells browsers to keep, show, frame and guess nothing of what is answered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)


def _place(one: Mapping[str, Any]) -> str:
    """Where in the request; a key that is not known only if it looks like one, and not like a secret."""
    *above, last = one["loc"]
    shown = one["loc"] if one["type"] != "extra_forbidden" or _A_NAME.fullmatch(str(last)) else (*above, "…")
    return ".".join(str(part) for part in shown)


def _answer_errors(app: FastAPI) -> None:
    @app.exception_handler(AgentError)
    async def refused(_: Request, error: AgentError) -> JSONResponse:
        if isinstance(error, AuthError):
            return answer(error)
        return JSONResponse(error.as_dict(), status_code=error.http_status)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        # What was sent is not repeated: it may hold a secret in the wrong place.
        wrong = [(_place(one), one["msg"]) for one in error.errors()]
        problem = Problem(
            code="input.request",
            message="; ".join(f"{field}: {what}" for field, what in wrong),
            hint=f"See {_DOCUMENT}.",
            where={"field": wrong[0][0]},
        )
        return JSONResponse(problem.model_dump(), status_code=422)

    @app.exception_handler(StarletteHTTPException)  # the parent of FastAPI's: also for unknown paths and methods
    async def http(_: Request, error: StarletteHTTPException) -> JSONResponse:
        problem = Problem(code=f"http.{error.status_code}", message=error.detail, hint=f"See {_DOCUMENT}.")
        return JSONResponse(problem.model_dump(), status_code=error.status_code, headers=error.headers)

    @app.exception_handler(Exception)
    async def bug(_: Request, error: Exception) -> JSONResponse:
        # Starlette raises it again once this is answered, so that it is in the log, whole.
        problem = Problem(
            code="agent.bug",
            message=f"the agent failed in a way it does not know ({type(error).__name__})",
            hint="The agent's log holds the details; please report them.",
        )
        return JSONResponse(problem.model_dump(), status_code=500, headers=_HEADERS)
