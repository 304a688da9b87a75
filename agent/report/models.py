"""What a person wants to see of a deploy, as values: CLI, HTTP, web page and chat render these."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import Field

from agent.core.models import Approval, CheckResult, Failure, Finding, Model, Proposal, Severity, Strategy
from agent.core.states import State


class Level(StrEnum):
    """How a row is to be taken; a renderer maps it to a colour and a mark."""

    INFO = "info"
    GOOD = "good"
    WARNING = "warning"
    ERROR = "error"


SEVERITY_LEVELS = {Severity.ERROR: Level.ERROR, Severity.WARNING: Level.WARNING, Severity.INFO: Level.INFO}


class Status(StrEnum):
    """Where a phase or a migration is. `undone`: it was applied, and has been taken back."""

    WAITING = "waiting"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    UNDONE = "undone"
    SKIPPED = "skipped"


class NextCommand(Model):
    """One command to type now, and what it is good for."""

    command: str
    why: str


class TimelineRow(Model):
    """One line of the story. `offset_s`: seconds since the deploy was requested; `duration_s`: None while it runs."""

    at: datetime
    offset_s: float
    what: str
    detail: str
    level: Level = Level.INFO
    duration_s: float | None = None


class PhaseRow(Model):
    """One state of the main road (preflight … verify) or of the way back."""

    state: State
    title: str
    status: Status
    started_at: datetime | None = None
    duration_s: float | None = None
    detail: str = ""


class MigrationRow(Model):
    """One pending migration of this deploy. `index` and `total` count from 1 over the deploy.

    `expected`: how long the runbook says it takes at this volume of data, for people; or "".
    """

    version: str
    name: str = ""
    index: int
    total: int
    status: Status
    mode: str = ""
    statements: int = 0
    statements_done: int = 0
    expected: str = ""
    started_at: datetime | None = None
    duration_s: float | None = None


class MonitorRow(Model):
    """The latest reading of one runbook monitor."""

    version: str
    name: str
    values: dict[str, Any] = Field(default_factory=dict)
    done: float | None = None
    total: float | None = None
    eta_s: float | None = None


class Progress(Model):
    """How far the current work is. `percent` and `eta_s` are None where the total is not known."""

    what: str
    phase: str = ""
    done: float
    total: float | None = None
    percent: float | None = None
    eta_s: float | None = None


class LockWait(Model):
    """The deploy waits (or waited) for a lock; `blockers` as in EventKind.LOCK_WAIT."""

    at: datetime
    version: str
    attempt: int
    message: str
    blockers: tuple[dict[str, Any], ...] = ()


class NoticeRow(Model):
    """A NOTICE or WARNING the server raised."""

    at: datetime
    version: str
    severity: str
    message: str


class SnapshotRow(Model):
    """What was recorded before anything was touched."""

    tables: int
    rows: int
    bytes: int
    values: dict[str, Any] = Field(default_factory=dict)
    duration_s: float | None = None


class BackupRow(Model):
    """The backup that this deploy took."""

    id: str
    location: str
    bytes: int
    files: int
    duration_s: float | None = None


class RungRow(Model):
    """One attempt to bring the database back, and what the comparison with the snapshot then said.

    `message`: of its event; it says why it was not done, where it was not.
    """

    rung: int
    name: str
    ok: bool
    differences: tuple[str, ...] = ()
    message: str = ""


class ChangesRow(Model):
    """What a deploy that succeeded changed in the catalog: the first hundred names of each kind, and how many."""

    created: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    altered: tuple[str, ...] = ()
    counts: dict[str, int] = Field(default_factory=dict)


class ProposalRow(Model):
    """What a rung would do, and what the policy said to it: `go`, `ask` or `hold`, and why not `go`."""

    at: datetime
    proposal: Proposal
    verdict: str
    reason: str = ""


class CheckTally(Model):
    """Checks by verdict. `warnings`: failed or errored, but of a severity that does not stop the deploy."""

    passed: int = 0
    failed: int = 0
    errored: int = 0
    warnings: int = 0

    @property
    def total(self) -> int:
        """All checks that ran."""
        return self.passed + self.failed + self.errored + self.warnings


class DeployView(Model):
    """One deploy, ready to be shown.

    `headline` is one line; `paragraph` says why it ended so (or what it does now) in plain sentences;
    `next_commands` are exact. `proposals`: of each rung that asked the policy, the last one; `approvals`: what people
    were asked, in order; `waits_for_approval`: the last of these has no answer yet. `duration_s`: from the request to
    the end, or to the last event while it runs.
    """

    id: str
    project: str
    state: State
    is_final: bool
    headline: str
    paragraph: str
    next_commands: tuple[NextCommand, ...] = ()
    level: Level = Level.INFO
    strategy: Strategy | None = None
    requested_by: str = ""
    created_at: datetime
    finished_at: datetime | None = None
    duration_s: float = 0.0
    cancel_reason: str = ""
    phases: tuple[PhaseRow, ...] = ()
    step: str = ""
    progress: Progress | None = None
    migrations: tuple[MigrationRow, ...] = ()
    monitors: tuple[MonitorRow, ...] = ()
    lock_wait: LockWait | None = None
    lock_waits: tuple[LockWait, ...] = ()
    notices: tuple[NoticeRow, ...] = ()
    findings: tuple[Finding, ...] = ()
    checks: tuple[CheckResult, ...] = ()
    tally: CheckTally = CheckTally()
    snapshot: SnapshotRow | None = None
    backup: BackupRow | None = None
    backup_id: str = ""
    changes: ChangesRow | None = None
    rungs: tuple[RungRow, ...] = ()
    proposals: tuple[ProposalRow, ...] = ()
    approvals: tuple[Approval, ...] = ()
    waits_for_approval: bool = False
    failure: Failure | None = None
    timeline: tuple[TimelineRow, ...] = ()
