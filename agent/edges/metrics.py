"""Prometheus metrics, derived from what the store holds: counters go on where they were when the agent restarts.

Names follow https://prometheus.io/docs/practices/naming/: base units, `_total` for counters. What is not known has no
series, instead of a made-up zero.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    Info,
    Metric,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.registry import Collector

from agent import __version__
from agent.core.models import (
    BackupRecord,
    BackupState,
    Condition,
    Deploy,
    Event,
    EventKind,
    OutboxState,
    Severity,
    Slot,
    Verdict,
)
from agent.core.states import FINAL, State
from agent.ports import DeployStore

disable_created_metrics()  # type: ignore[no-untyped-call]  # a `_created` series beside each counter is noise

RUNBOOK_PREFIX = "deploy_agent_runbook_"
GAUGES = {
    "deploy_agent_deploys_running": ("Deploys that have not ended yet.", ()),
    "deploy_agent_deploys_waiting_for_approval": ("Deploys that wait until a person allows their restore.", ()),
    "deploy_agent_deploy_state_age_seconds": ("How long a deploy that has not ended is in its state.", ("state",)),
    "deploy_agent_needs_operator": ("1 while a deploy needs a person: until a later one succeeds.", ()),
    "deploy_agent_checks_not_passed": ("Checks whose last result in the last deploy was no pass.", ("severity",)),
    "deploy_agent_last_deploy_timestamp_seconds": ("When the last deploy with this outcome ended.", ("outcome",)),
    "deploy_agent_pending_migrations": ("Migrations in the folder that the database does not have.", ()),
    "deploy_agent_drift": ("1 if the schema was changed beside the migrations since the last deploy.", ()),
    "deploy_agent_replication_slot_retained_bytes": ("WAL that a replication slot keeps on the server.", ("slot",)),
    "deploy_agent_replication_slot_active": ("1 if something reads from the replication slot.", ("slot",)),
    "deploy_agent_replication_slot_lost": ("1 if the server has removed WAL that the slot needs.", ("slot",)),
    "deploy_agent_condition_ok": (
        "1 if the condition was met when last looked at: store, engine, target, plan.",
        ("condition",),
    ),
    "deploy_agent_backups": ("Backups by state.", ("state",)),
    "deploy_agent_backup_last_timestamp_seconds": ("When the last backup was taken.", ()),
    "deploy_agent_backup_age_seconds": ("Age of the last backup.", ()),
    "deploy_agent_backup_size_bytes": ("Size of the last backup.", ()),
    "deploy_agent_backup_verified": ("1 if the last backup has been restored and compared.", ()),
    "deploy_agent_backup_last_verified_timestamp_seconds": ("When a backup was last restored and compared.", ()),
    "deploy_agent_notifications_undelivered": (
        "Messages that wait for their delivery (pending) or were given up (dead).",
        ("target", "state"),
    ),
}

# Seconds: a step may take a tenth of one, or hours.
_BUCKETS = (0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 1800, 3600, 7200, 14400)
_RUNGS = 5  # of the restore ladder
_PAGE = 100
_LAST_WORDS = timedelta(minutes=1)  # a deploy's last events come after its last state

_Labels = tuple[tuple[str, str], ...]


class _Gauges(Collector):
    """Gauges whose series, and label names, come and go."""

    def __init__(self, helps: Iterable[tuple[str, str]] = ()) -> None:
        self._helps = dict(helps)
        self._samples: dict[str, dict[_Labels, float]] = {name: {} for name in self._helps}

    def clear(self, name: str, *, help_text: str = "") -> None:
        """Forget the samples of a gauge, which may be a new one."""
        self._helps.setdefault(name, help_text)
        self._samples[name] = {}

    def clear_all(self) -> None:
        """Forget all samples."""
        for name in self._samples:
            self.clear(name)

    def show(self, name: str, value: float, **labels: str) -> None:
        """Set one sample."""
        self._samples[name][tuple(sorted(labels.items()))] = value

    def collect(self) -> Iterator[Metric]:
        """See `prometheus_client.registry.Collector`."""
        for name, samples in self._samples.items():
            family = Metric(name, self._helps[name], "gauge")
            for labels, value in samples.items():
                family.add_sample(name, dict(labels), value)
            yield family


class Metrics:
    """One registry, brought up to date from the store whenever it is read.

    Args:
        store: where deploys, events and backups are read from.
        project: whose.
        targets: the names of the notification targets: what waits for them is counted from zero.
    """

    def __init__(self, store: DeployStore, project: str, *, targets: Sequence[str] = ()) -> None:
        self._store = store
        self._project = project
        self._targets = tuple(targets)
        self._reading = asyncio.Lock()
        self._seen: dict[str, int] = {}  # unsettled deploys: the last event that is counted
        self._final: set[str] = set()  # deploys whose outcome is counted
        self._settled: set[str] = set()  # deploys whose events are all counted
        self._ended: dict[State, float] = {}  # outcome: when the last deploy with it ended
        self._checked_by = ""  # the last deploy that ran checks
        self._results: dict[tuple[str, str], tuple[Verdict, Severity]] = {}  # its checks, by phase and id
        self._measured_by: dict[str, str] = {}  # runbook metric: the deploy that measured it last
        self.registry = registry = CollectorRegistry()
        build = Info("deploy_agent_build", "The agent's version, and its project.", registry=registry)
        build.info({"version": __version__, "project": project})
        self._deploys = Counter("deploy_agent_deploys", "Deploys that have ended.", ["outcome"], registry=registry)
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
        # What can happen is there from the start: the first increase would not be one otherwise.
        for outcome in sorted(FINAL):
            self._deploys.labels(outcome)
        for verdict in Verdict:
            for severity in Severity:
                self._checks.labels(verdict, severity)
        for state in sorted(set(State) - FINAL):
            self._steps.labels(state)
        for rung in range(1, _RUNGS + 1):
            for ok in ("true", "false"):
                self._rungs.labels(str(rung), ok)
        self._gauges = _Gauges((name, text) for name, (text, _) in GAUGES.items())
        self._runbook = _Gauges()
        registry.register(self._gauges)
        registry.register(self._runbook)

    async def exposition(
        self,
        *,
        now: datetime,
        conditions: Sequence[Condition],
        pending: Sequence[str] | None,
        drifted: bool | None = None,
        slots: Sequence[Slot] | None = None,
    ) -> bytes:
        """Read what is new in the store, and render everything in text format 0.0.4.

        Args:
            now: the time.
            conditions: how store, engine, target and plan were last found.
            pending: the versions that the database does not have, or None while that is not known.
            drifted: whether the schema was changed beside the migrations, or None while that is not known.
            slots: the replication slots that keep the most WAL, or None while that is not known.

        Raises:
            StoreError: the store cannot be read.
        """
        async with self._reading:  # two scrapes at once must not count an event twice
            unsettled = await self._unsettled()
            for deploy in unsettled:
                await self._count_deploy(deploy, now)
            backups = await self._store.backups(project=self._project)
            undelivered = await self._store.undelivered()
            self._gauges.clear_all()
            self._show_deploys(unsettled, now)
            self._show_findings(conditions, pending, drifted, slots or ())
            self._show_backups(backups, now)
            for target in self._targets:
                for state in (OutboxState.PENDING, OutboxState.DEAD):
                    self._gauges.show("deploy_agent_notifications_undelivered", 0, target=target, state=state)
            for (target, state), count in undelivered.items():
                self._gauges.show("deploy_agent_notifications_undelivered", count, target=target, state=state)
            return generate_latest(self.registry)

    async def _unsettled(self) -> list[Deploy]:
        """Every deploy that is not counted to its end yet, oldest first."""
        limit = _PAGE
        while True:
            found = await self._store.deploys(project=self._project, limit=limit)
            if len(found) < limit or found[-1].id in self._settled:
                return [deploy for deploy in reversed(found) if deploy.id not in self._settled]
            limit *= 4

    async def _count_deploy(self, deploy: Deploy, now: datetime) -> None:
        while events := await self._store.events(deploy.id, after=self._seen.get(deploy.id, 0)):
            for event in events:
                self._seen[deploy.id] = event.seq
                self._count(event)
        if deploy.finished_at is None:
            return
        if deploy.id not in self._final:
            self._final.add(deploy.id)
            self._deploys.labels(deploy.state).inc()
            self._ended[deploy.state] = deploy.finished_at.timestamp()
        if now - deploy.finished_at > _LAST_WORDS:
            self._settled.add(deploy.id)
            self._seen.pop(deploy.id, None)

    def _count(self, event: Event) -> None:
        data = event.data
        match event.kind:
            case EventKind.STEP_FINISHED:
                self._steps.labels(data["step"]).observe(data["seconds"])
            case EventKind.MIGRATION_FINISHED:
                self._migrations.observe(data["seconds"])
            case EventKind.CHECK:
                self._checks.labels(data["verdict"], data["severity"]).inc()
                self._note_check(event)
            case EventKind.LOCK_WAIT:
                self._lock_waits.inc()
            case EventKind.RUNG:
                self._rungs.labels(str(data["rung"]), str(data["ok"]).lower()).inc()
            case EventKind.METRIC:
                self._measure(event)
            case _:
                pass

    def _measure(self, event: Event) -> None:
        """A value of the runbook's; those of the deploy before, with whatever labels, are gone."""
        name = RUNBOOK_PREFIX + event.data["name"]
        if self._measured_by.get(name) != event.deploy_id:
            self._measured_by[name] = event.deploy_id
            self._runbook.clear(name, help_text="Measured by the runbook's last deploy.")
        self._runbook.show(name, float(event.data["value"]), **event.data["labels"])

    def _note_check(self, event: Event) -> None:
        """A check's result; those of the deploy before are forgotten."""
        if self._checked_by != event.deploy_id:
            self._checked_by = event.deploy_id
            self._results = {}
        found = (Verdict(event.data["verdict"]), Severity(event.data["severity"]))
        self._results[event.data["phase"], event.data["id"]] = found

    def _show_deploys(self, deploys: Sequence[Deploy], now: datetime) -> None:
        still = [one for one in deploys if not one.is_final]
        self._gauges.show("deploy_agent_deploys_running", len(still))
        waiting = sum(one.waits_for_approval for one in still)
        self._gauges.show("deploy_agent_deploys_waiting_for_approval", waiting)
        for one in still:
            age = (now - one.updated_at).total_seconds()
            self._gauges.show("deploy_agent_deploy_state_age_seconds", age, state=one.state)
        for outcome, moment in self._ended.items():
            self._gauges.show("deploy_agent_last_deploy_timestamp_seconds", moment, outcome=outcome)
        given_up = self._ended.get(State.NEEDS_OPERATOR, 0.0)
        self._gauges.show("deploy_agent_needs_operator", given_up > self._ended.get(State.SUCCEEDED, 0.0))
        if self._checked_by:
            for severity in Severity:
                bad = [one for one in self._results.values() if one[0] is not Verdict.PASSED and one[1] is severity]
                self._gauges.show("deploy_agent_checks_not_passed", len(bad), severity=severity)

    def _show_findings(
        self,
        conditions: Sequence[Condition],
        pending: Sequence[str] | None,
        drifted: bool | None,  # noqa: FBT001 - the only flag, and named at the call of `exposition`
        slots: Sequence[Slot],
    ) -> None:
        for one in conditions:
            self._gauges.show("deploy_agent_condition_ok", one.ok, condition=one.name)
        if pending is not None:
            self._gauges.show("deploy_agent_pending_migrations", len(pending))
        if drifted is not None:
            self._gauges.show("deploy_agent_drift", drifted)
        for slot in slots:
            self._gauges.show("deploy_agent_replication_slot_retained_bytes", slot.retained_bytes, slot=slot.name)
            self._gauges.show("deploy_agent_replication_slot_active", slot.active, slot=slot.name)
            self._gauges.show("deploy_agent_replication_slot_lost", slot.lost, slot=slot.name)

    def _show_backups(self, backups: Sequence[BackupRecord], now: datetime) -> None:
        for state in BackupState:
            self._gauges.show("deploy_agent_backups", sum(one.state is state for one in backups), state=state)
        if not backups:
            return
        last = backups[0]
        self._gauges.show("deploy_agent_backup_last_timestamp_seconds", last.created_at.timestamp())
        self._gauges.show("deploy_agent_backup_age_seconds", (now - last.created_at).total_seconds())
        self._gauges.show("deploy_agent_backup_size_bytes", last.bytes)
        self._gauges.show("deploy_agent_backup_verified", last.state is BackupState.VERIFIED)
        verified = [one.verified_at.timestamp() for one in backups if one.verified_at is not None]
        if verified:
            self._gauges.show("deploy_agent_backup_last_verified_timestamp_seconds", max(verified))
