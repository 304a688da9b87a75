"""Watching folder and database: is it there, what is pending, is it to be deployed."""

from __future__ import annotations

import asyncio

from agent import sql
from agent.core.models import Condition, Deploy, DeployRequest, Severity, Slot
from agent.core.planning import Plan
from agent.deploy.deps import Deps
from agent.deploy.plan import make_plan
from agent.deploy.supervisor import STOPPING, Report, queue
from agent.errors import AgentError, StatementError, TargetError
from agent.ports import Session

_MOST_SLOTS = 20
_DRIFT = "preflight.drift"


class Lookout:
    """What was found at the last look.

    `plan` is None while there is none: the database did not answer, or folder or runbook cannot be read. `slots`: the
    replication slots that keep the most WAL; None while they cannot be read.
    `conditions`: `target`, whether the database answers; `plan`, whether what is pending could be deployed.

    Args:
        deps: the ports.
        request: what `watch` deploys.
        report: told what changed, for the log.
    """

    def __init__(self, deps: Deps, request: DeployRequest, report: Report) -> None:
        self._deps = deps
        self._request = request
        self._report = report
        self._looking = asyncio.Lock()
        self._reported = ""
        self.plan: Plan | None = None
        self.slots: tuple[Slot, ...] | None = None
        self.conditions: dict[str, Condition] = {}

    @property
    def pending(self) -> tuple[str, ...] | None:
        """The versions that the database does not have, or None while that is not known."""
        return None if self.plan is None else tuple(script.migration.version for script in self.plan.scripts)

    @property
    def drifted(self) -> bool | None:
        """Whether somebody changed the schema beside the migrations, or None while that is not known."""
        return None if self.plan is None else any(one.code == _DRIFT for one in self.plan.findings)

    async def look(self) -> None:
        """Plan, and remember what was found."""
        async with self._looking:
            await self._look()

    async def watch(self) -> None:
        """Look, and deploy what is pending unless just that has been tried before.

        A plan that did not succeed is not tried again until files, history or database change, except after the
        agent itself was stopped. One that cannot run is queued too: the deploy refuses it, and everybody hears why.
        """
        async with self._looking:
            await self._look()
            if self.plan is None or not self.plan.scripts:
                return
            last = await self._deps.store.deploys(project=self._deps.options.project, limit=1)
            if last and (not last[0].is_final or await self._tried(last[0], self.plan)):
                return
            request = self._request.model_copy(update={"plan_fingerprint": self.plan.fingerprint})
            await queue(self._deps, request)

    async def _look(self) -> None:
        plan: Plan | None = None
        slots: tuple[Slot, ...] | None = None
        try:
            async with self._deps.target.session(purpose="plan") as session:
                slots = await _slots(session)
                plan = await make_plan(session, self._deps, self._request, self._deps.read_runbook())
        except TargetError as error:
            self._remember("target", ok=False, message=error.message)
            self.conditions.pop("plan", None)
            return
        except AgentError as error:
            self._remember("target", ok=True, message=f"{self._deps.target.label} answers")
            self._remember("plan", ok=False, message=error.message)
            return
        finally:  # what was found last stays until more is known: metrics must not flicker
            self.plan, self.slots = plan, slots
        self._remember("target", ok=True, message=f"{self._deps.target.label} answers")
        errors = [one.message for one in plan.findings if one.severity is Severity.ERROR]
        self._remember("plan", ok=not errors, message=errors[0] if errors else f"{len(plan.scripts)} pending")
        if plan.fingerprint != self._reported:
            self._reported = plan.fingerprint
            pending = self.pending or ()
            span = {"first": min(pending, default=""), "last": max(pending, default="")}
            self._report(
                "plan changed",
                {"pending": len(pending), **span, "strategy": str(plan.strategy), "errors": errors},
            )

    async def _tried(self, deploy: Deploy, plan: Plan) -> bool:
        """Whether that deploy was of this plan, and was not cut short by the end of an agent."""
        stopped = deploy.failure is not None and deploy.failure.cause == "cancelled"
        if stopped and deploy.cancel_reason == STOPPING:
            return False
        kept = await self._deps.store.get_evidence(deploy.id, "plan")
        tried = Plan.unpacked(kept).fingerprint if kept else deploy.request.plan_fingerprint
        return tried == plan.fingerprint

    def _remember(self, name: str, *, ok: bool, message: str) -> None:
        before = self.conditions.get(name)
        self.conditions[name] = Condition(name=name, ok=ok, message=message, checked_at=self._deps.clock.now())
        if before is None or before.ok != ok:
            self._report("condition changed", {"condition": name, "ok": ok, "found": message})


async def _slots(session: Session) -> tuple[Slot, ...] | None:
    try:
        found = await session.rows(sql.load("monitors/slots"), {"most": _MOST_SLOTS})
    except StatementError:
        return None  # they are for the metrics only: a server that does not show them can be deployed to
    return tuple(Slot.model_validate(row) for row in found)
