"""The HTTP API: liveness, readiness, status, metrics, and `/api/v1`."""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from starlette.exceptions import HTTPException

from agent import __version__
from agent.core.models import BackupRecord, Condition, Deploy, DeployRequest, Event, Model, Strategy
from agent.core.states import State
from agent.errors import AgentError, AuthError
from agent.report.models import DeployView
from agent.report.plan_view import PlanView, plan_view
from agent.report.view import deploy_view
from agent.web.backend import AgentStatus, Backend

# https://prometheus.io/docs/instrumenting/exposition_formats/
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class Problem(Model):
    """What every error answers: `code` is stable (docs/errors.md)."""

    code: str
    message: str
    hint: str = ""
    where: dict[str, str | int] = Field(default_factory=dict)


class Health(Model):
    """Whether the agent can do its work, and what it found."""

    ok: bool
    conditions: tuple[Condition, ...]


class DeployOrder(BaseModel):
    """What to deploy; everything may be left out."""

    model_config = ConfigDict(extra="forbid")

    strategy: Strategy = Strategy.AUTO
    plan_fingerprint: str = ""
    until: str = ""
    include_all: bool = False


class CancelOrder(BaseModel):
    """Why a deploy is to stop."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(min_length=1, max_length=500)] = "asked for over HTTP"


def create_app(backend: Backend, *, project: str, token: SecretStr | None) -> FastAPI:
    """The application.

    Args:
        backend: the agent.
        project: the name that deploys are requested for.
        token: what callers must send as `Authorization: Bearer …`. Without one, reading is open to
            whoever reaches the port, and nothing can be asked for.
    """
    app = FastAPI(
        title="supabase-deploy-agent",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/api/v1/openapi.json",
        responses={"4XX": {"model": Problem}, "5XX": {"model": Problem}},
    )

    async def reader(request: Request) -> None:
        if token is not None:
            _authorize(request, token)

    async def operator(request: Request) -> None:
        if token is None:
            raise AuthError(
                "this agent has no API token, so nothing can be asked of it over HTTP",
                code="auth.no_token_set",
                hint="Set DEPLOY_AGENT_HTTP__TOKEN (or http.token in the settings) and restart the agent.",
            )
        _authorize(request, token)

    _handle_errors(app)
    _add_health(app, backend, Depends(reader))
    _add_reading(app, backend, Depends(reader))
    _add_operating(app, backend, project, Depends(operator))
    return app


def _authorize(request: Request, token: SecretStr) -> None:
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    # Compared in constant time, as bytes: compare_digest refuses text that is not ASCII.
    fits = hmac.compare_digest(given.strip().encode(), token.get_secret_value().encode())
    if scheme.lower() != "bearer" or not fits:
        raise AuthError(
            "a valid bearer token is needed",
            code="auth.token_refused" if given else "auth.token_missing",
            hint="Send `Authorization: Bearer <token>` with the agent's http.token.",
        )


def _handle_errors(app: FastAPI) -> None:
    async def from_agent(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, AgentError)  # noqa: S101 - registered for this class
        headers = {"WWW-Authenticate": "Bearer"} if error.http_status == 401 else None
        return JSONResponse(error.as_dict(), status_code=error.http_status, headers=headers)

    async def from_validation(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for this class
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        problem = Problem(
            code="input.request",
            message=f"{field}: {first['msg']}",
            hint="See /api/v1/openapi.json.",
            where={"field": field},
        )
        return JSONResponse(problem.model_dump(), status_code=422)

    async def from_http(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, HTTPException)  # noqa: S101 - registered for this class
        problem = Problem(code=f"http.{error.status_code}", message=str(error.detail), hint="See /api/v1/openapi.json.")
        return JSONResponse(problem.model_dump(), status_code=error.status_code, headers=error.headers)

    app.add_exception_handler(AgentError, from_agent)
    app.add_exception_handler(RequestValidationError, from_validation)
    app.add_exception_handler(HTTPException, from_http)


def _add_health(app: FastAPI, backend: Backend, reader: object) -> None:
    async def health(response: Response) -> Health:
        conditions = await backend.conditions()
        ok = all(one.ok for one in conditions)
        response.status_code = 200 if ok else 503
        return Health(ok=ok, conditions=tuple(conditions))

    @app.get("/livez", tags=["health"])
    async def livez() -> dict[str, str]:
        """The loop turns. Restart the container if this does not answer; it never looks at the database."""
        return {"status": "alive"}

    @app.get("/readyz", tags=["health"], responses={503: {"model": Problem}})
    async def readyz(response: Response) -> dict[str, str]:
        """Store, engine and database are usable."""
        found = await health(response)
        return {"status": "ready" if found.ok else "not ready"}

    app.get("/healthz", tags=["health"], responses={503: {"model": Health}}, dependencies=[reader])(health)  # type: ignore[list-item]  # fastapi's Depends() is typed Any

    @app.get("/status", tags=["health"], dependencies=[reader])  # type: ignore[list-item]  # as above
    async def status() -> AgentStatus:
        """What runs, what ran last, what is pending, how old the last backup is."""
        return await backend.status()

    @app.get("/metrics", tags=["health"], dependencies=[reader], response_class=Response)  # type: ignore[list-item]  # as above
    async def metrics() -> Response:
        """Prometheus text format."""
        return Response(await backend.metrics(), media_type=_PROMETHEUS)


def _add_reading(app: FastAPI, backend: Backend, reader: object) -> None:
    get: Callable[..., Callable[[Callable[..., Awaitable[object]]], object]] = app.get

    @get("/api/v1/deploys", tags=["deploys"], dependencies=[reader])
    async def list_deploys(
        state: Annotated[list[State], Query(default_factory=list)],
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
    ) -> list[Deploy]:
        """Newest first."""
        return await backend.deploys(states=state, limit=limit)

    @get("/api/v1/deploys/{deploy_id}", tags=["deploys"], dependencies=[reader])
    async def get_deploy(deploy_id: str) -> DeployView:
        """All of one deploy, as the command line shows it."""
        deploy = await backend.deploy(deploy_id)
        events: list[Event] = []
        while more := await backend.events(deploy.id, after=events[-1].seq if events else 0, limit=1000):
            events += more
        return deploy_view(deploy, events)

    @get("/api/v1/deploys/{deploy_id}/events", tags=["deploys"], dependencies=[reader])
    async def get_events(
        deploy_id: str,
        after: Annotated[int, Query(ge=0)] = 0,
        limit: Annotated[int, Query(ge=1, le=1000)] = 1000,
    ) -> list[Event]:
        """Its events in order; ask again with the last `seq` as `after`."""
        deploy = await backend.deploy(deploy_id)
        return await backend.events(deploy.id, after=after, limit=limit)

    @get("/api/v1/backups", tags=["backups"], dependencies=[reader])
    async def list_backups() -> list[BackupRecord]:
        """Newest first."""
        return await backend.backups()


def _add_operating(app: FastAPI, backend: Backend, project: str, operator: object) -> None:
    post: Callable[..., Callable[[Callable[..., Awaitable[object]]], object]] = app.post

    def request_of(order: DeployOrder | None) -> DeployRequest:
        return DeployRequest(project=project, requested_by="api", **(order or DeployOrder()).model_dump())

    @post("/api/v1/plan", tags=["deploys"], dependencies=[operator])
    async def plan(order: DeployOrder | None = None) -> PlanView:
        """What a deploy would do now; changes nothing."""
        return plan_view(await backend.plan(request_of(order)))

    @post("/api/v1/deploys", tags=["deploys"], dependencies=[operator], status_code=202)
    async def deploy(response: Response, order: DeployOrder | None = None) -> Deploy:
        """Queue a deploy; follow it at `Location`."""
        queued = await backend.request_deploy(request_of(order))
        response.headers["Location"] = f"/api/v1/deploys/{queued.id}"
        return queued

    @post("/api/v1/deploys/{deploy_id}/cancel", tags=["deploys"], dependencies=[operator], status_code=202)
    async def cancel(deploy_id: str, order: CancelOrder | None = None) -> Deploy:
        """Ask a deploy to stop at the next safe point; what it did is undone."""
        return await backend.request_cancel(deploy_id, (order or CancelOrder()).reason)

    @post("/api/v1/backups", tags=["backups"], dependencies=[operator], status_code=201)
    async def backup() -> BackupRecord:
        """Take a backup now; answers when it is published."""
        return await backend.request_backup()
