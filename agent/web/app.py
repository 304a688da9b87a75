"""The HTTP API as an application: endpoints, and one shape for every error."""

from __future__ import annotations

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import Field, SecretStr
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent import __version__
from agent.core.models import DeployRequest, Model
from agent.errors import AgentError, AuthError
from agent.web.access import Site
from agent.web.backend import Backend
from agent.web.routes import API, operating, probes, reading

_DOCUMENT = f"{API}/openapi.json"
_MAX_BODY_BYTES = 64 * 1024  # an order is a few hundred bytes; a body is read before its sender is known


class Problem(Model):
    """What every error answers; `code` is stable (docs/errors.md)."""

    code: str
    message: str
    hint: str = ""
    where: dict[str, str | int] = Field(default_factory=dict)


def create_app(backend: Backend, *, default: DeployRequest, token: SecretStr | None) -> FastAPI:
    """The application.

    Args:
        backend: the agent.
        default: what is deployed when the caller says nothing else.
        token: what callers must send as `Authorization: Bearer …`. Without one, reading is open to
            whoever reaches the port, and nothing can be asked for.
    """
    app = FastAPI(
        title="supabase-deploy-agent",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=_DOCUMENT,
        responses={"4XX": {"model": Problem}, "5XX": {"model": Problem}},
    )
    app.add_middleware(_BodyLimit)
    app.state.site = Site(backend=backend, default=default, token=token)
    for router in (probes, reading, operating):
        app.include_router(router)
    _answer_errors(app)
    return app


class _BodyLimit:
    """Refuses a body that is too long while it comes. Starlette's own limit does not answer as other errors do."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        left = _MAX_BODY_BYTES

        async def limited() -> Message:
            nonlocal left
            message = await receive()
            left -= len(message.get("body", b""))
            if left < 0:
                raise HTTPException(413, f"the body is longer than {_MAX_BODY_BYTES} bytes")
            return message

        await self._app(scope, limited, send)


def _answer_errors(app: FastAPI) -> None:
    @app.exception_handler(AgentError)
    async def refused(_: Request, error: AgentError) -> JSONResponse:
        headers = {"WWW-Authenticate": "Bearer"} if isinstance(error, AuthError) else None
        return JSONResponse(error.as_dict(), status_code=error.http_status, headers=headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        # What was sent is not repeated: it may hold a secret in the wrong place.
        wrong = [(".".join(str(part) for part in one["loc"]), one["msg"]) for one in error.errors()]
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
        return JSONResponse(problem.model_dump(), status_code=500)
