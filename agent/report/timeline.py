"""The story of a deploy, line by line: phases and what they found, migrations, notices, failed checks, the way back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import groupby

from agent.core.models import CheckResult, Event, EventKind, Severity, Verdict
from agent.core.states import FINAL, State
from agent.core.units import count
from agent.report.collect import TITLES, WAY_BACK, Story, check_level, is_note, told_already
from agent.report.explain import LEVELS, label
from agent.report.models import SEVERITY_LEVELS, Level, PhaseRow, Status, TimelineRow
from agent.report.words import clip, listing, size

DETAIL_WIDTH = 300
APPROVAL_LEVELS = {"approved": Level.GOOD, "rejected": Level.ERROR}
_SERVER_WARNINGS = {"WARNING", "ERROR"}


def timeline(story: Story, events: Sequence[Event]) -> tuple[TimelineRow, ...]:
    """The rows in order of time. Passed checks that follow each other in one phase share a row."""
    rows: list[TimelineRow] = []
    phases = {phase.state: phase for phase in story.phases()}
    ordered = sorted(events, key=lambda each: each.seq)
    for is_check, group in groupby(ordered, key=lambda each: each.kind is EventKind.CHECK):
        if is_check:
            rows += _check_rows(story, list(group))
        else:
            for event in group:
                row = _row(story, event, phases)
                if row is not None:
                    rows.append(row)
    return tuple(rows)


def _make(  # noqa: PLR0917 - the order is the row's own: when, what, how it is meant, how long
    story: Story, at: datetime, what: str, detail: str, level: Level = Level.INFO, seconds: float | None = None
) -> TimelineRow:
    offset = max((at - story.deploy.created_at).total_seconds(), 0.0)
    return TimelineRow(
        at=at, offset_s=offset, what=what, detail=clip(detail, DETAIL_WIDTH), level=level, duration_s=seconds
    )


def _row(story: Story, event: Event, phases: dict[State, PhaseRow]) -> TimelineRow | None:
    if event.kind is EventKind.STATE:
        return _state_row(story, event, phases)
    if event.kind is EventKind.MIGRATION_STARTED:
        return _migration_row(story, event)
    what, detail, level = "", event.message, SEVERITY_LEVELS[event.severity]
    if told_already(event):
        return None
    match event.kind:
        case EventKind.FINDING:
            what = _finding(event)
        case EventKind.NOTICE:
            word = str(event.data.get("level", "NOTICE"))
            what, level = word.lower(), Level.WARNING if word in _SERVER_WARNINGS else Level.INFO
        case EventKind.LOCK_WAIT:
            what, level = "lock wait", Level.WARNING
        case EventKind.RUNG | EventKind.PROPOSAL | EventKind.APPROVAL | EventKind.PLATFORM_RESTORE:
            what, detail, level = _way_back(event)
        case EventKind.FAILURE:
            what, level = "failure", Level.ERROR
        case EventKind.LOG | EventKind.CHANGES:
            what = "note"
    return _make(story, event.at, what, detail, level) if what else None


def _finding(event: Event) -> str:
    if event.severity is not Severity.INFO:
        return "finding"
    return "note" if is_note(event) else ""


def _way_back(event: Event) -> tuple[str, str, Level]:
    """A rung that was climbed, is proposed, or that people are asked about."""
    data = event.data
    if event.kind is EventKind.RUNG:
        differences = [str(each) for each in data.get("differences") or ()]
        more = f": {listing(differences)}" if differences else ""
        return f"rung {data.get('rung', '')}", event.message + more, Level.GOOD if data.get("ok") else Level.WARNING
    if event.kind is EventKind.PROPOSAL:
        return "proposal", event.message, Level.WARNING
    if event.kind is EventKind.PLATFORM_RESTORE:
        return "platform", event.message, SEVERITY_LEVELS[event.severity]
    answer = str(data.get("answer") or "")
    words = event.message if answer else f"people are asked: {data.get('reason', '')}"
    return "approval", words, APPROVAL_LEVELS.get(answer, Level.WARNING)


def _state_row(story: Story, event: Event, phases: dict[State, PhaseRow]) -> TimelineRow:
    state = State(event.data["to"]) if event.data.get("to") else story.deploy.state
    if state in FINAL or state is State.QUEUED:
        repeats = story.failure is not None and story.failure.message in event.message
        detail = "" if repeats or state is State.QUEUED else event.message
        return _make(story, event.at, TITLES[state].lower(), detail, LEVELS.get(state, Level.INFO))
    phase = phases[state]
    level = Level.INFO
    if phase.status is Status.FAILED:
        level = Level.ERROR
    elif phase.status is Status.DONE:
        level = Level.WARNING if state in WAY_BACK else Level.GOOD
    return _make(story, event.at, TITLES[state].lower(), phase_detail(story, phase), level, phase.duration_s)


def phase_detail(story: Story, phase: PhaseRow) -> str:
    """What a phase brought, in a few words; "" where there is nothing to say yet."""
    detail = ""
    if phase.status in (Status.WAITING, Status.SKIPPED):
        return detail
    match phase.state:
        case State.PREFLIGHT:
            detail = _preflight_detail(story, phase)
        case State.SNAPSHOT if story.snapshot:
            shot = story.snapshot
            detail = f"{count(shot.tables, 'table')}, {count(shot.rows, 'row')}, {size(shot.bytes)}"
        case State.BACKUP if story.backup:
            detail = f"{story.backup.id}, {size(story.backup.bytes)}, {count(story.backup.files, 'file')}"
        case State.MIGRATE if story.migrations:
            strategy = f", {story.deploy.strategy.value}" if story.deploy.strategy else ""
            total = max(row.total for row in story.migrations.values())
            detail = f"{len(story.applied)} of {count(total, 'migration')}{strategy}"
        case State.VERIFY if story.checks:
            detail = _tally_words(story)
        case State.ROLLING_BACK | State.RESTORING:
            if phase.status is Status.RUNNING and story.waiting is not None:
                return "waiting for approval"
            rungs = [rung for rung in story.rungs if (rung.rung >= 3) is (phase.state is State.RESTORING)]
            detail = "; ".join(f"{rung.name}: {'as before' if rung.ok else 'not as before'}" for rung in rungs)
            if not rungs and phase.status is Status.FAILED and story.applied:
                detail = f"not enough: {count(len(story.applied), 'migration')} had been committed"
    return detail


def _tally_words(story: Story) -> str:
    tally = story.tally
    words = [f"{count(tally.passed, 'check')} passed"]
    words += [f"{tally.failed} failed"] if tally.failed else []
    words += [f"{tally.errored} could not run"] if tally.errored else []
    words += [count(tally.warnings, "warning")] if tally.warnings else []
    return ", ".join(words)


def _preflight_detail(story: Story, phase: PhaseRow) -> str:
    errors = sum(1 for each in story.findings if each.severity is Severity.ERROR)
    warnings = sum(1 for each in story.findings if each.severity is Severity.WARNING)
    if errors:
        return f"{count(errors, 'problem')} in the way"
    if phase.status is not Status.DONE:
        return ""
    return f"nothing in the way, {count(warnings, 'warning')}" if warnings else "nothing in the way"


def _migration_row(story: Story, event: Event) -> TimelineRow | None:
    row = story.migrations.get(str(event.data.get("version", "")))
    if row is None:
        return None
    level = {Status.DONE: Level.GOOD, Status.UNDONE: Level.INFO, Status.FAILED: Level.ERROR}.get(row.status, Level.INFO)
    words = {Status.FAILED: ", failed", Status.UNDONE: ", undone later"}.get(row.status, "")
    statements = f" ({count(row.statements, 'statement')})" if row.statements else ""
    what = f"migration {row.index}/{row.total}"
    return _make(story, event.at, what, f"{label(row)}{statements}{words}", level, row.duration_s)


def _check_rows(story: Story, events: Sequence[Event]) -> list[TimelineRow]:
    rows: list[TimelineRow] = []
    pairs = [(event, CheckResult.model_validate(event.data)) for event in events]
    for (phase, passed), group in groupby(pairs, key=lambda pair: (pair[1].phase, pair[1].verdict is Verdict.PASSED)):
        members = list(group)
        if passed:
            first, seconds = members[0][0], sum(result.seconds for _, result in members)
            detail = f"{count(len(members), 'check')} passed ({_phase_words(phase)})"
            rows.append(_make(story, first.at, "checks", detail, Level.GOOD, seconds))
            continue
        for event, result in members:
            ran = result.verdict is Verdict.FAILED
            outcome = f"expected {result.expected}, observed {result.observed}" if ran else result.observed
            detail = f"{result.id} {result.verdict.value}: {outcome}"
            rows.append(_make(story, event.at, "check", detail, check_level(result), result.seconds))
    return rows


def _phase_words(phase: str) -> str:
    if phase.startswith("migration:"):
        return f"after {phase.removeprefix('migration:')}"
    return phase
