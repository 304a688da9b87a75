"""Marks and colours. Colour is never the only difference: each level has its own mark."""

from __future__ import annotations

from rich.text import Text

from agent.core.models import BackupState, Verdict
from agent.core.states import State
from agent.report.explain import LEVELS
from agent.report.models import Level, Status

STYLES = {Level.INFO: "", Level.GOOD: "green", Level.WARNING: "yellow", Level.ERROR: "red"}
_MARKS = {Level.INFO: "·", Level.GOOD: "✓", Level.WARNING: "!", Level.ERROR: "✗"}
_STATUS = {
    Status.WAITING: ("·", "dim"),
    Status.RUNNING: ("▸", "cyan"),
    Status.DONE: ("✓", "green"),
    Status.FAILED: ("✗", "red"),
    Status.UNDONE: ("↶", "yellow"),
    Status.SKIPPED: ("-", "dim"),
}
VERDICT_STYLES = {Verdict.PASSED: "green", Verdict.FAILED: "red", Verdict.ERRORED: "red"}
BACKUP_STYLES = {BackupState.VERIFIED: "green", BackupState.PUBLISHED: "", BackupState.DAMAGED: "red"}


def mark(level: Level) -> Text:
    """One sign for a level, in its colour."""
    return Text(_MARKS[level], style=STYLES[level])


def status_mark(status: Status) -> Text:
    """One sign for the status of a phase or migration."""
    sign, style = _STATUS[status]
    return Text(sign, style=style)


def state_text(state: State, *, waits: bool = False) -> Text:
    """A deploy's state as a word in its colour; `waits`: for an approval."""
    return Text(
        f"{state.value}, waiting for approval" if waits else state.value, style=STYLES[LEVELS.get(state, Level.INFO)]
    )
