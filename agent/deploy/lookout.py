"""Watching folder and database: is it there, what is pending, is it to be deployed."""

from __future__ import annotations

from agent.core.models import Condition, Deploy, DeployRequest, Severity
from agent.core.states import FINAL, State
from agent.deploy import service
from agent.deploy.deps import Deps
from agent.deploy.supervisor import Report, queue
from agent.errors import AgentError


class Lookout:
    """What was found at the last look.

    Args:
        deps: the ports.
        report: told what changed, for the log.
    """

    def __init__(self, deps: Deps, report: Report) -> None:
        self._deps = deps
        self._report = report
        self._planned = ""
        self.pending: tuple[str, ...] | None = None
        self.applied: int | None = None
        self.conditions: dict[str, Condition] = {}

    async def look(self) -> None:
        """See whether the database answers and what is pending; remembered as conditions."""
        request = DeployRequest(project=self._deps.options.project, requested_by="watch")
        try:
            plan = await service.plan(self._deps, request)
        except AgentError as error:
            self._remember("target", ok=not error.code.startswith("target."), message=error.message)
            return
        self.pending = tuple(script.migration.version for script in plan.scripts)
        self.applied = len(plan.applied)
        self._remember("target", ok=True, message=f"{self._deps.target.label}: {len(self.pending)} pending")
        if plan.fingerprint != self._planned:
            self._planned = plan.fingerprint
            self._report(
                "plan changed",
                {
                    "pending": list(self.pending),
                    "strategy": str(plan.strategy),
                    "errors": [one.message for one in plan.findings if one.severity is Severity.ERROR],
                },
            )

    async def watch(self, *, deploy: bool) -> Deploy | None:
        """Look; if something is pending, nothing is wrong with it and it has not been tried yet, deploy it.

        A plan that has failed once is not tried again until files, history or database change.
        """
        await self.look()
        if not deploy or not self.pending or not self.conditions["target"].ok:
            return None
        last = await self._deps.store.deploys(project=self._deps.options.project, limit=1)
        if last and (last[0].state not in FINAL or await self._same_plan(last[0])):
            return None
        request = DeployRequest(
            project=self._deps.options.project, requested_by="watch", plan_fingerprint=self._planned
        )
        return await queue(self._deps, request)

    async def _same_plan(self, deploy: Deploy) -> bool:
        """Whether that deploy has tried exactly what is pending now."""
        return deploy.request.plan_fingerprint == self._planned or (
            deploy.state is not State.SUCCEEDED and deploy.versions == self.pending
        )

    def _remember(self, name: str, *, ok: bool, message: str) -> None:
        before = self.conditions.get(name)
        self.conditions[name] = Condition(name=name, ok=ok, message=message, checked_at=self._deps.clock.now())
        if before is None or before.ok != ok:
            self._report("condition changed", {"condition": name, "ok": ok, "found": message})
