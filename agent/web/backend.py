"""What the HTTP side needs of the agent; `agent.serve` fills it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from agent.core.models import BackupRecord, Condition, Deploy, DeployRequest, Event, Model
from agent.core.planning import Plan
from agent.core.states import State

ESSENTIAL = frozenset({"store", "engine", "target"})
"""The conditions without which the agent is not ready; the others only make it unhealthy."""


class AgentStatus(Model):
    """The agent at one look. `pending` and `applied` are None while the plan is not known."""

    version: str
    project: str
    target: str
    started_at: datetime
    watch: str
    conditions: tuple[Condition, ...]
    pending: tuple[str, ...] | None = None
    applied: int | None = None
    last_backup: BackupRecord | None = None
    running: Deploy | None = None
    last: Deploy | None = None


class Backend(Protocol):
    """The agent, as its HTTP API sees it. Everything may raise AgentError."""

    async def conditions(self) -> list[Condition]:
        """How store, engine, target and plan were last found; answers within seconds, whatever hangs."""
        ...

    async def status(self) -> AgentStatus:
        """The agent at one look."""
        ...

    async def plan(self, request: DeployRequest) -> Plan:
        """What a deploy would do now."""
        ...

    async def request_deploy(self, request: DeployRequest) -> Deploy:
        """Queue a deploy.

        Raises:
            BusyError: `busy.deploying`: another one is not final yet; `busy.stopping`: the agent is ending.
        """
        ...

    async def request_cancel(self, deploy_id: str, reason: str) -> Deploy:
        """Raise the cancel flag. Raises NotFoundError."""
        ...

    async def answer(self, deploy_id: str, *, number: int | None, approve: bool, by: str, remark: str) -> Deploy:
        """Answer what a deploy has asked; `by`: who does. Raises NotFoundError."""
        ...

    async def request_backup(self) -> BackupRecord:
        """Take a backup now.

        Raises:
            BusyError: `busy.deploying`, `busy.backup`: a deploy, or another backup, is running; `busy.not_ready`.
        """
        ...

    async def deploys(self, *, states: Sequence[State], limit: int) -> list[Deploy]:
        """Newest first."""
        ...

    async def deploy(self, deploy_id: str) -> Deploy:
        """Raises NotFoundError."""
        ...

    async def events(self, deploy_id: str, *, after: int, limit: int) -> list[Event]:
        """In order."""
        ...

    async def all_events(self, deploy_id: str) -> list[Event]:
        """In order, however many there are."""
        ...

    async def backups(self) -> list[BackupRecord]:
        """Newest first."""
        ...

    async def metrics(self) -> bytes:
        """Prometheus text exposition format 0.0.4."""
        ...
