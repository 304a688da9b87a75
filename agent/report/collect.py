"""One pass over a deploy's events: what is known of its phases, migrations, checks and of the way back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from agent.core.models import (
    Approval,
    CheckResult,
    Deploy,
    Event,
    EventKind,
    Failure,
    Finding,
    NewEvent,
    Proposal,
    Severity,
    Verdict,
)
from agent.core.restore_policy import RUNG_NAMES
from agent.core.states import FINAL, State
from agent.core.units import Span
from agent.report.models import (
    BackupRow,
    ChangesRow,
    CheckTally,
    Level,
    LockWait,
    MigrationRow,
    MonitorRow,
    NoticeRow,
    PhaseRow,
    Progress,
    ProposalRow,
    RungRow,
    SnapshotRow,
    Status,
)

ROAD = (State.PREFLIGHT, State.SNAPSHOT, State.BACKUP, State.MIGRATE, State.VERIFY)
WAY_BACK = (State.ROLLING_BACK, State.RESTORING)
TITLES = {
    State.QUEUED: "Queued",
    State.PREFLIGHT: "Preflight",
    State.SNAPSHOT: "Snapshot",
    State.BACKUP: "Backup",
    State.MIGRATE: "Migrate",
    State.VERIFY: "Verify",
    State.ROLLING_BACK: "Roll back",
    State.RESTORING: "Restore",
    State.SUCCEEDED: "Succeeded",
    State.ABORTED: "Aborted",
    State.CANCELLED: "Cancelled",
    State.ROLLED_BACK: "Rolled back",
    State.RESTORED: "Restored",
    State.NEEDS_OPERATOR: "Needs an operator",
}
FAILED_AS = {State.ABORTED, State.ROLLING_BACK, State.NEEDS_OPERATOR}
TAKEN_BACK = {State.ROLLED_BACK, State.RESTORED, State.CANCELLED}


def check_level(result: CheckResult) -> Level:
    """A check that did not pass is as bad as its severity; one that did is good."""
    if result.verdict is Verdict.PASSED:
        return Level.GOOD
    return {Severity.ERROR: Level.ERROR, Severity.WARNING: Level.WARNING}.get(result.severity, Level.INFO)


def number(data: dict[str, Any], key: str) -> float | None:
    """The number under a key, or None; a bool is none."""
    value = data.get(key)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def whole(data: dict[str, Any], key: str) -> int:
    """The whole number under a key, or 0."""
    return int(number(data, key) or 0)


def told_already(event: NewEvent) -> bool:
    """Whether the event only repeats another one: a failed check comes as CHECK, FINDING and FAILURE."""
    if event.kind is EventKind.FINDING:
        return "check" in (event.data.get("where") or {})
    return event.kind is EventKind.FAILURE and event.data.get("cause") in ("preflight", "check")


def is_note(event: NewEvent) -> bool:
    """Whether a finding that stops nothing and warns of nothing is still told: what was looked at, and what was not."""
    return event.kind is EventKind.FINDING and str(event.data.get("code", "")).startswith("preflight.")


@dataclass
class Story:
    """Everything the events told, in the order it was told. Filled by `collect`."""

    deploy: Deploy
    entered: list[tuple[State, datetime]] = field(default_factory=list)
    left: dict[int, datetime] = field(default_factory=dict)
    migrations: dict[str, MigrationRow] = field(default_factory=dict)
    checks: dict[tuple[str, str], CheckResult] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    monitors: dict[tuple[str, str], MonitorRow] = field(default_factory=dict)
    notices: list[NoticeRow] = field(default_factory=list)
    lock_waits: list[LockWait] = field(default_factory=list)
    waiting_for_lock: bool = False
    rungs: list[RungRow] = field(default_factory=list)
    proposals: dict[int, ProposalRow] = field(default_factory=dict)
    approvals: dict[int, Approval] = field(default_factory=dict)
    snapshot: SnapshotRow | None = None
    backup: BackupRow | None = None
    changes: ChangesRow | None = None
    failure: Failure | None = None
    progress: Progress | None = None
    progress_from: tuple[datetime, float] | None = None
    step: str = ""
    until: datetime | None = None

    @property
    def tally(self) -> CheckTally:
        """The checks by verdict, each counted once with its last result."""
        counts = {"passed": 0, "failed": 0, "errored": 0, "warnings": 0}
        for result in self.checks.values():
            soft = result.verdict is not Verdict.PASSED and result.severity is not Severity.ERROR
            counts["warnings" if soft else result.verdict.value] += 1
        return CheckTally(**counts)

    @property
    def waiting(self) -> Approval | None:
        """What nobody has answered yet; None: nothing, or the deploy has ended."""
        last = self.approvals[max(self.approvals)] if self.approvals else None
        return last if last is not None and last.answer is None and not self.deploy.is_final else None

    @property
    def applied(self) -> list[MigrationRow]:
        """The migrations whose statements all ran."""
        return [row for row in self.migrations.values() if row.status in (Status.DONE, Status.UNDONE)]

    def phases(self) -> tuple[PhaseRow, ...]:
        """The main road in order, whether walked or not, then the way back as far as it was needed."""
        spans = dict(self._spans())
        rows = []
        for state in (*ROAD, *WAY_BACK):
            if state in spans:
                began, ended, status = spans[state]
                seconds = (ended - began).total_seconds() if ended else None
                rows.append(
                    PhaseRow(state=state, title=TITLES[state], status=status, started_at=began, duration_s=seconds)
                )
            elif state in ROAD:
                status = Status.SKIPPED if self.deploy.is_final or self._on_way_back else Status.WAITING
                rows.append(PhaseRow(state=state, title=TITLES[state], status=status))
        return tuple(rows)

    @property
    def _on_way_back(self) -> bool:
        return any(state in WAY_BACK for state, _ in self.entered)

    def _spans(self) -> list[tuple[State, tuple[datetime, datetime | None, Status]]]:
        spans = []
        for index, (state, began) in enumerate(self.entered):
            following = self.entered[index + 1] if index + 1 < len(self.entered) else None
            if following is None:
                status = Status.RUNNING
            elif following[0] in FAILED_AS or (state in WAY_BACK and following[0] not in TAKEN_BACK):
                status = Status.FAILED
            elif following[0] is State.CANCELLED and state not in WAY_BACK:
                status = Status.SKIPPED
            else:
                status = Status.DONE
            spans.append((state, (began, following[1] if following else None, status)))
        return spans


def collect(deploy: Deploy, events: Sequence[Event]) -> Story:
    """Read the events, in order of `seq`, into a Story.

    Keys that are missing in an event's `data` count as unknown: events of older versions stay readable.
    """
    story = Story(deploy=deploy, failure=deploy.failure)
    for event in sorted(events, key=lambda each: each.seq):
        story.until = event.at
        reader = _READERS.get(event.kind)
        if reader is not None:
            reader(story, event, event.data)
    _settle_migrations(story)
    return story


def _state(story: Story, event: Event, data: dict[str, Any]) -> None:
    state = State(data["to"]) if data.get("to") else story.deploy.state
    if not story.entered or story.entered[-1][0] is not state:
        story.entered.append((state, event.at))
    story.progress, story.progress_from, story.waiting_for_lock = None, None, False
    if state in FINAL:
        story.step = ""


def _step_started(story: Story, _event: Event, data: dict[str, Any]) -> None:
    story.step = str(data.get("step", ""))


def _step_finished(story: Story, _event: Event, data: dict[str, Any]) -> None:
    if story.step == data.get("step"):
        story.step = ""


def _finding(story: Story, event: Event, data: dict[str, Any]) -> None:
    story.findings.append(
        Finding(
            code=str(data.get("code", "")),
            severity=event.severity,
            message=event.message,
            hint=str(data.get("hint") or ""),
            where=dict(data.get("where") or {}),
        )
    )


def _migration_started(story: Story, event: Event, data: dict[str, Any]) -> None:
    version = str(data.get("version", ""))
    story.migrations[version] = MigrationRow(
        version=version,
        name=str(data.get("name", "")),
        index=whole(data, "index"),
        total=whole(data, "total"),
        status=Status.RUNNING,
        mode=str(data.get("mode", "")),
        statements=whole(data, "statements"),
        expected=str(Span.model_validate(span)) if (span := data.get("expected")) else "",
        started_at=event.at,
    )
    story.progress, story.progress_from, story.waiting_for_lock = None, None, False


def _migration_finished(story: Story, event: Event, data: dict[str, Any]) -> None:
    version = str(data.get("version", ""))
    known = story.migrations.get(version)
    if known is None:
        known = MigrationRow(
            version=version,
            name=str(data.get("name", "")),
            index=whole(data, "index"),
            total=whole(data, "total"),
            status=Status.DONE,
        )
    seconds = number(data, "seconds")
    if seconds is None and known.started_at is not None:
        seconds = (event.at - known.started_at).total_seconds()
    story.migrations[version] = known.model_copy(
        update={"status": Status.DONE, "duration_s": seconds, "statements_done": known.statements}
    )
    story.progress, story.progress_from, story.waiting_for_lock = None, None, False


def _statement(story: Story, _event: Event, data: dict[str, Any]) -> None:
    known = story.migrations.get(str(data.get("version", "")))
    if known is not None:
        done = max(known.statements_done, whole(data, "index"))
        update = {"statements_done": done, "statements": known.statements or whole(data, "total")}
        story.migrations[known.version] = known.model_copy(update=update)
    story.waiting_for_lock = False


def _notice(story: Story, event: Event, data: dict[str, Any]) -> None:
    story.waiting_for_lock = False  # it runs again
    story.notices.append(
        NoticeRow(
            at=event.at,
            version=str(data.get("version", "")),
            severity=str(data.get("level", "NOTICE")),
            message=event.message,
        )
    )


def _monitor(story: Story, event: Event, data: dict[str, Any]) -> None:
    row = MonitorRow(
        version=str(data.get("version", "")),
        name=str(data.get("name", "")),
        values=dict(data.get("values") or {}),
        done=number(data, "done"),
        total=number(data, "total"),
        eta_s=number(data, "eta_s"),
    )
    story.monitors[row.version, row.name] = row
    if row.done is not None and row.total:
        _advance(story, event.at, what=row.name, phase="", done=row.done, total=row.total, eta_s=row.eta_s)


def _progress(story: Story, event: Event, data: dict[str, Any]) -> None:
    story.waiting_for_lock = False
    _advance(
        story,
        event.at,
        what=str(data.get("what", "")),
        phase=str(data.get("phase") or ""),
        done=number(data, "done") or 0.0,
        total=number(data, "total") or None,
        eta_s=number(data, "eta_s"),
    )


def _advance(
    story: Story, at: datetime, *, what: str, phase: str, done: float, total: float | None, eta_s: float | None
) -> None:
    """Keep the reading; without an `eta_s` of its own, estimate one from the rate since the first reading."""
    before = story.progress
    if before is None or story.progress_from is None or (before.what, before.phase) != (what, phase):
        story.progress_from = (at, done)
    began, first = story.progress_from
    elapsed = (at - began).total_seconds()
    if eta_s is None and total and elapsed > 0 and done > first:
        eta_s = max(total - done, 0.0) * elapsed / (done - first)
    percent = min(100.0 * done / total, 100.0) if total else None
    story.progress = Progress(what=what, phase=phase, done=done, total=total, percent=percent, eta_s=eta_s)


def _lock_wait(story: Story, event: Event, data: dict[str, Any]) -> None:
    story.lock_waits.append(
        LockWait(
            at=event.at,
            version=str(data.get("version", "")),
            attempt=whole(data, "attempt"),
            message=event.message,
            blockers=tuple(dict(each) for each in data.get("blockers") or ()),
        )
    )
    story.waiting_for_lock = True


def _check(story: Story, _event: Event, data: dict[str, Any]) -> None:
    result = CheckResult.model_validate(data)
    story.checks[result.phase, result.id] = result


def _snapshot(story: Story, _event: Event, data: dict[str, Any]) -> None:
    story.snapshot = SnapshotRow(
        tables=whole(data, "tables"),
        rows=whole(data, "rows"),
        bytes=whole(data, "bytes"),
        values=dict(data.get("values") or {}),
        duration_s=number(data, "seconds"),
    )


def _backup(story: Story, _event: Event, data: dict[str, Any]) -> None:
    story.backup = BackupRow(
        id=str(data.get("id", "")),
        location=str(data.get("location", "")),
        bytes=whole(data, "bytes"),
        files=whole(data, "files"),
        duration_s=number(data, "seconds"),
    )


def _rung(story: Story, event: Event, data: dict[str, Any]) -> None:
    rung = whole(data, "rung")
    name = str(data.get("name") or RUNG_NAMES.get(rung, f"rung {rung}"))
    differences = tuple(str(each) for each in data.get("differences") or ())
    story.rungs.append(
        RungRow(rung=rung, name=name, ok=bool(data.get("ok")), differences=differences, message=event.message)
    )


def _changes(story: Story, _event: Event, data: dict[str, Any]) -> None:
    story.changes = ChangesRow.model_validate({name: data[name] for name in ChangesRow.model_fields if name in data})


def _proposal(story: Story, event: Event, data: dict[str, Any]) -> None:
    proposal = Proposal.model_validate({name: data[name] for name in Proposal.model_fields if name in data})
    story.proposals[proposal.rung] = ProposalRow(
        at=event.at, proposal=proposal, verdict=str(data.get("verdict", "")), reason=str(data.get("reason") or "")
    )


def _approval(story: Story, _event: Event, data: dict[str, Any]) -> None:
    approval = Approval.model_validate(data)
    story.approvals[approval.number] = approval


def _failure(story: Story, _event: Event, data: dict[str, Any]) -> None:
    if story.deploy.failure is None:
        story.failure = Failure.model_validate(data)


_READERS = {
    EventKind.STATE: _state,
    EventKind.STEP_STARTED: _step_started,
    EventKind.STEP_FINISHED: _step_finished,
    EventKind.FINDING: _finding,
    EventKind.MIGRATION_STARTED: _migration_started,
    EventKind.MIGRATION_FINISHED: _migration_finished,
    EventKind.STATEMENT: _statement,
    EventKind.NOTICE: _notice,
    EventKind.MONITOR: _monitor,
    EventKind.PROGRESS: _progress,
    EventKind.LOCK_WAIT: _lock_wait,
    EventKind.CHECK: _check,
    EventKind.SNAPSHOT: _snapshot,
    EventKind.BACKUP: _backup,
    EventKind.RUNG: _rung,
    EventKind.CHANGES: _changes,
    EventKind.PROPOSAL: _proposal,
    EventKind.APPROVAL: _approval,
    EventKind.FAILURE: _failure,
}


def _settle_migrations(story: Story) -> None:
    """Migrations not begun are waiting (or skipped), the one to blame failed, those taken back undone."""
    deploy, total = story.deploy, max(len(story.deploy.versions), len(story.migrations))
    for index, version in enumerate(deploy.versions, start=1):
        if version not in story.migrations:
            status = Status.SKIPPED if deploy.is_final or story.failure else Status.WAITING
            story.migrations[version] = MigrationRow(version=version, index=index, total=total, status=status)
    stopped = deploy.is_final or story.failure is not None
    for version, row in story.migrations.items():
        status = row.status
        if status is Status.RUNNING and stopped:
            status = Status.FAILED
        if status is Status.DONE and deploy.state in TAKEN_BACK:
            status = Status.UNDONE
        story.migrations[version] = row.model_copy(update={"status": status, "total": row.total or total})
    story.migrations = dict(sorted(story.migrations.items(), key=lambda item: item[1].index))
