"""The checklist before a deploy, by whatever way the database is reached."""

from __future__ import annotations

from agent.core.models import Finding
from agent.core.planning import Plan
from agent.core.runbook import Runbook
from agent.deploy.deps import Deps
from agent.deploy.emitter import Emit
from agent.deploy.preflight import run_preflight
from agent.ports import Session


async def checklist(deps: Deps, session: Session, plan: Plan, runbook: Runbook | None, emit: Emit) -> list[Finding]:
    """Look at everything that could make the deploy fail; see `run_preflight` and `via_api.look`."""
    if deps.options.via_api:
        from agent.deploy import via_api  # noqa: PLC0415 - few need it

        return await via_api.look(deps, session, runbook, emit)
    return await run_preflight(
        session=session,
        target=deps.target,
        tools=deps.tools,
        objects=deps.objects,
        plan=plan,
        runbook=runbook,
        clock=deps.clock,
        http=deps.http,
        api=deps.api,
        tls_missing=deps.options.tls_missing,
        platform=deps.platform,
        ref=deps.options.ref,
        platform_required=deps.options.platform_required,
        emit=emit,
    )
