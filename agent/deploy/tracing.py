"""A deploy as a trace: one span for all of it, however many workers it takes, one a step, and what is within."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext

from agent.core.states import State
from agent.deploy.deps import Deps
from agent.ports import Attributes, Place, Span, current

TRACE = "trace"
"""Evidence: the traceparent of the deploy's own span, so that the next worker goes on with the same trace."""


@asynccontextmanager
async def deploy_trace(deps: Deps, deploy_id: str) -> AsyncIterator[None]:
    """The body belongs to the deploy's trace. Its own span is told once the deploy is final, by whoever ends it."""
    if deps.tracer is None:
        yield
        return
    place = Place.parse(await deps.store.get_evidence(deploy_id, TRACE) or "")
    if place is None:
        place = deps.tracer.begin()
        await deps.store.put_evidence(deploy_id, TRACE, place.traceparent)
    before = current.set(place)
    try:
        yield
    finally:
        current.reset(before)
    deploy = await deps.store.get(deploy_id)
    if deploy.finished_at is None:
        return
    deps.tracer.finish(
        place,
        "deploy",
        {
            "deploy_agent.deploy.id": deploy.id,
            "deploy_agent.deploy.outcome": str(deploy.state),
            "deploy_agent.deploy.migrations": len(deploy.versions),
            "deploy_agent.deploy.strategy": str(deploy.strategy or ""),
            "deploy_agent.project": deploy.project,
        },
        began=deploy.created_at,
        ended=deploy.finished_at,
        failed="" if deploy.state is State.SUCCEEDED else deploy.failure.code if deploy.failure else str(deploy.state),
    )


def span(deps: Deps, name: str, attributes: Attributes) -> AbstractContextManager[Span | None]:
    """A part of the deploy, see `Tracer.span`; None where nobody traces."""
    return nullcontext() if deps.tracer is None else deps.tracer.span(name, attributes)
