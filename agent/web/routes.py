"""The endpoints, by who may call them: everybody (probes), readers, operators."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from agent.core.models import BackupRecord, Condition, Deploy, DeployRequest, Event, Model, Strategy
from agent.core.states import State
from agent.report.models import DeployView
from agent.report.plan_view import PlanView, plan_view
from agent.report.view import deploy_view
from agent.web.access import Agent, Default, Operator, operator, reader
from agent.web.backend import ESSENTIAL, AgentStatus

API = "/api/v1"
_EVENTS_A_PAGE = 1000
# https://prometheus.io/docs/instrumenting/exposition_formats/
_PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


class Problem(Model):
    """What every error answers; `code` is stable (docs/errors.md)."""

    code: str
    message: str
    hint: str = ""
    where: dict[str, str | int] = Field(default_factory=dict)


_ERRORS: dict[int | str, dict[str, Any]] = {"4XX": {"model": Problem}, "5XX": {"model": Problem}}

probes = APIRouter(tags=["health"], responses=_ERRORS)
reading = APIRouter(dependencies=[Depends(reader)], responses=_ERRORS)
operating = APIRouter(prefix=API, dependencies=[Depends(operator)], responses=_ERRORS)


class Alive(Model):
    """The answer of `/livez`."""

    alive: bool = True


class Readiness(Model):
    """Whether the agent can deploy now; `missing`: what keeps it from that, and why."""

    ready: bool
    missing: tuple[Condition, ...] = ()


class Health(Model):
    """Whether everything is in order, and what was found."""

    ok: bool
    conditions: tuple[Condition, ...]


class DeployOrder(BaseModel):
    """What to deploy. What is left out is as in the agent's settings."""

    model_config = ConfigDict(extra="forbid")

    strategy: Strategy = Strategy.AUTO
    plan_fingerprint: str = ""
    until: str = ""
    include_all: bool = False

    def over(self, default: DeployRequest) -> DeployRequest:
        """The default with what was ordered."""
        return default.model_copy(update=self.model_dump(exclude_unset=True))


class CancelOrder(BaseModel):
    """Why a deploy is to stop."""

    model_config = ConfigDict(extra="forbid")

    reason: Annotated[str, Field(min_length=1, max_length=500)] = "asked for over HTTP"


class ApprovalOrder(BaseModel):
    """The answer to what a deploy has asked.

    `number`: of the question that it answers (`approval.number` of the deploy); left out: the one that is open.
    """

    model_config = ConfigDict(extra="forbid")

    approve: bool = True
    number: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    remark: Annotated[str, Field(max_length=500)] = ""


@probes.get("/livez")
async def livez() -> Alive:
    """The loop turns. It looks at nothing else; restart the container if it does not answer."""
    return Alive()


@probes.get("/readyz", responses={503: {"model": Readiness}})
async def readyz(agent: Agent, response: Response) -> Readiness:
    """Store, engine and database are usable, or which of them is not."""
    conditions = await agent.conditions()
    missing = tuple(one for one in conditions if one.name in ESSENTIAL and not one.ok)
    response.status_code = 503 if missing else 200
    return Readiness(ready=not missing, missing=missing)


@reading.get("/healthz", tags=["health"], responses={503: {"model": Health}})
async def healthz(agent: Agent, response: Response) -> Health:
    """Everything the agent watches; 503 if anything is not in order."""
    conditions = tuple(await agent.conditions())
    ok = all(one.ok for one in conditions)
    response.status_code = 200 if ok else 503
    return Health(ok=ok, conditions=conditions)


@reading.get("/status", tags=["health"])
async def status(agent: Agent) -> AgentStatus:
    """What runs, what ran last, what is pending, how old the last backup is."""
    return await agent.status()


@reading.get("/metrics", tags=["health"], response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(agent: Agent) -> Response:
    """For Prometheus; see docs/metrics.md."""
    return Response(await agent.metrics(), media_type=_PROMETHEUS)


@reading.get(f"{API}/deploys", tags=["deploys"])
async def list_deploys(
    agent: Agent,
    state: Annotated[list[State] | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> list[Deploy]:
    """Newest first."""
    return await agent.deploys(states=state or (), limit=limit)


@reading.get(f"{API}/deploys/{{deploy_id}}", tags=["deploys"])
async def get_deploy(agent: Agent, deploy_id: str) -> DeployView:
    """All of one deploy, as `deploy-agent show` has it. An unambiguous beginning of the id is enough."""
    deploy = await agent.deploy(deploy_id)
    return deploy_view(deploy, await agent.all_events(deploy.id))


@reading.get(f"{API}/deploys/{{deploy_id}}/events", tags=["deploys"])
async def get_events(
    agent: Agent,
    deploy_id: str,
    after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
    limit: Annotated[int, Query(ge=1, le=_EVENTS_A_PAGE)] = _EVENTS_A_PAGE,
) -> list[Event]:
    """Its events in order. Ask again with the last `seq` as `after`, until the deploy has ended and nothing comes."""
    deploy = await agent.deploy(deploy_id)
    return await agent.events(deploy.id, after=after, limit=limit)


@reading.get(f"{API}/backups", tags=["backups"])
async def list_backups(agent: Agent) -> list[BackupRecord]:
    """Newest first."""
    return await agent.backups()


@operating.post("/plan", tags=["deploys"])
async def plan(agent: Agent, default: Default, order: DeployOrder | None = None) -> PlanView:
    """What a deploy would do now; changes nothing."""
    return plan_view(await agent.plan((order or DeployOrder()).over(default)))


@operating.post("/deploys", tags=["deploys"], status_code=202)
async def deploy(agent: Agent, default: Default, response: Response, order: DeployOrder | None = None) -> Deploy:
    """Queue a deploy; follow it at `Location`. 409 while another one is not finished."""
    queued = await agent.request_deploy((order or DeployOrder()).over(default))
    response.headers["Location"] = f"{API}/deploys/{queued.id}"
    return queued


@operating.post("/deploys/{deploy_id}/cancel", tags=["deploys"], status_code=202)
async def cancel(agent: Agent, deploy_id: str, order: CancelOrder | None = None) -> Deploy:
    """Ask a deploy to stop at the next safe point; what it did is undone."""
    return await agent.request_cancel(deploy_id, (order or CancelOrder()).reason)


@operating.post("/deploys/{deploy_id}/approve", tags=["deploys"])
async def approve(agent: Agent, caller: Operator, deploy_id: str, order: ApprovalOrder | None = None) -> Deploy:
    """Answer a deploy that waits for approval: it restores, or leaves that to people. 404 if it asks nothing."""
    answer = order or ApprovalOrder()
    return await agent.answer(
        deploy_id, number=answer.number, approve=answer.approve, by=caller.label, remark=answer.remark
    )


@operating.post("/backups", tags=["backups"], status_code=201)
async def backup(agent: Agent) -> BackupRecord:
    """Take a backup now; answers when it is published. 409 while a deploy or another backup runs."""
    return await agent.request_backup()
