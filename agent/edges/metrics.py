"""Prometheus metrics, derived from what the store holds: counters survive a restart of the agent.

Names follow https://prometheus.io/docs/practices/naming/: base units, `_total` for counters.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Info,
    disable_created_metrics,
    generate_latest,
)

from agent import __version__
from agent.core.models import BackupRecord, BackupState, Deploy, Event, EventKind
from agent.ports import DeployStore

disable_created_metrics()  # type: ignore[no-untyped-call]  # a `_created` series beside each counter is noise

# Seconds: a step may take a tenth of one, or hours.
_BUCKETS = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 1800, 3600, 7200, 14400)


class Metrics:
    """One registry; `refresh` brings it up to date, `text` renders it.

    Args:
        store: where deploys, events and backups are read from.
        project: whose.
    """

    def __init__(self, store: DeployStore, project: str) -> None:
        self._store = store
        self._project = project
        self._seen: dict[str, int] = {}
        self._final: set[str] = set()
        self.registry = registry = CollectorRegistry()
        self._runbook: dict[str, Gauge] = {}
        Info("deploy_agent_build", "The agent's version.", registry=registry).info({"version": __version__})
        self._deploys = Counter("deploy_agent_deploys", "Deploys that have ended.", ["outcome"], registry=registry)
        self._running = Gauge("deploy_agent_deploy_running", "1 while a deploy runs.", registry=registry)
        self._last = Gauge(
            "deploy_agent_last_deploy_timestamp_seconds",
            "When the last deploy with this outcome ended.",
            ["outcome"],
            registry=registry,
        )
        self._steps = Histogram(
            "deploy_agent_step_duration_seconds",
            "How long the steps of deploys took.",
            ["step"],
            buckets=_BUCKETS,
            registry=registry,
        )
        self._migrations = Histogram(
            "deploy_agent_migration_duration_seconds",
            "How long single migrations took.",
            buckets=_BUCKETS,
            registry=registry,
        )
        self._checks = Counter(
            "deploy_agent_checks", "Checks that have run.", ["verdict", "severity"], registry=registry
        )
        self._lock_waits = Counter(
            "deploy_agent_lock_waits", "How often a deploy had to wait for a lock.", registry=registry
        )
        self._rungs = Counter(
            "deploy_agent_restore_rungs", "Rungs of the ladder that were tried.", ["rung", "ok"], registry=registry
        )
        self._backup_time = Gauge(
            "deploy_agent_backup_last_timestamp_seconds", "When the last backup was taken.", registry=registry
        )
        self._backup_age = Gauge("deploy_agent_backup_age_seconds", "Age of the last backup.", registry=registry)
        self._backup_size = Gauge("deploy_agent_backup_size_bytes", "Size of the last backup.", registry=registry)
        self._backup_verified = Gauge(
            "deploy_agent_backup_verified", "1 if the last backup has been restored and compared.", registry=registry
        )
        self._backups = Gauge("deploy_agent_backups", "Backups by state.", ["state"], registry=registry)
        self.pending = Gauge(
            "deploy_agent_pending_migrations",
            "Migrations in the folder that the database does not have.",
            registry=registry,
        )
        self.target_up = Gauge(
            "deploy_agent_target_up", "1 if the database answered the last health look.", registry=registry
        )
        self._outbox = Gauge(
            "deploy_agent_notifications_due", "Notifications that are due and not delivered yet.", registry=registry
        )

    async def refresh(self, now: datetime) -> None:
        """Read what is new in the store."""
        deploys = await self._store.deploys(project=self._project, limit=1000)
        self._running.set(sum(not one.is_final for one in deploys))
        for deploy in reversed(deploys):
            if deploy.id not in self._final:
                await self._follow(deploy)
        self._show_backups(await self._store.backups(project=self._project), now)
        self._outbox.set(len(await self._store.due_messages(now=now, limit=1000)))

    def text(self) -> bytes:
        """The exposition."""
        return generate_latest(self.registry)

    async def _follow(self, deploy: Deploy) -> None:
        while events := await self._store.events(deploy.id, after=self._seen.get(deploy.id, 0)):
            for event in events:
                self._count(event)
            self._seen[deploy.id] = events[-1].seq
        if deploy.is_final:
            self._final.add(deploy.id)
            self._seen.pop(deploy.id, None)
            self._deploys.labels(deploy.state).inc()
            if deploy.finished_at:
                self._last.labels(deploy.state).set(deploy.finished_at.timestamp())

    def _count(self, event: Event) -> None:
        data = event.data
        match event.kind:
            case EventKind.STEP_FINISHED:
                self._steps.labels(data["step"]).observe(data["seconds"])
            case EventKind.MIGRATION_FINISHED:
                self._migrations.observe(data["seconds"])
            case EventKind.CHECK:
                self._checks.labels(data["verdict"], data["severity"]).inc()
            case EventKind.LOCK_WAIT:
                self._lock_waits.inc()
            case EventKind.RUNG:
                self._rungs.labels(str(data["rung"]), str(data["ok"]).lower()).inc()
            case EventKind.METRIC:
                self._set_runbook_metric(data["name"], data["labels"], data["value"])
            case _:
                pass

    def _set_runbook_metric(self, name: str, labels: dict[str, str], value: float) -> None:
        full = f"deploy_agent_runbook_{name}"
        gauge = self._runbook.get(full)
        if gauge is None:
            gauge = self._runbook[full] = Gauge(
                full, "From the runbook's metrics.", sorted(labels), registry=self.registry
            )
        (gauge.labels(**labels) if labels else gauge).set(value)

    def _show_backups(self, backups: Sequence[BackupRecord], now: datetime) -> None:
        for state in BackupState:
            self._backups.labels(state).set(sum(one.state is state for one in backups))
        if backups:
            last = backups[0]
            self._backup_time.set(last.created_at.timestamp())
            self._backup_age.set((now - last.created_at).total_seconds())
            self._backup_size.set(last.bytes)
            self._backup_verified.set(last.state is BackupState.VERIFIED)
