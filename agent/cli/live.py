"""Follows a deploy: a live picture on a terminal, plain lines elsewhere, JSON lines with --json."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from rich.console import Console, RenderableType
from rich.live import Live
from rich.text import Text

from agent.cli.render.deploy import amounts, lock_lines, running
from agent.cli.render.style import STYLES, mark
from agent.cli.ui import Ui
from agent.core.models import CheckResult, Deploy, Event, EventKind, NewEvent, Verdict
from agent.core.states import FINAL, State
from agent.core.units import duration
from agent.report import words
from agent.report.collect import TITLES, check_level, is_note, told_already
from agent.report.explain import LEVELS
from agent.report.models import SEVERITY_LEVELS, DeployView, Level, LockWait
from agent.report.timeline import APPROVAL_LEVELS
from agent.report.view import deploy_view

REFRESH_PER_S = 4
_SUPERSEDED = {EventKind.PROGRESS, EventKind.MONITOR, EventKind.STATEMENT}
_PLAIN_EVERY_S = 10.0  # a line of progress at most so often


class Follower(Protocol):
    """Shows deploys one after the other; hears of each before its events."""

    def begin(self, deploy: Deploy) -> None:
        """This deploy's events follow."""
        ...

    def event(self, event: Event) -> None:
        """Something happened."""
        ...

    def update(self, deploy: Deploy) -> None:
        """More is known of it by now: its strategy, its migrations."""
        ...

    def end(self, deploy: Deploy) -> DeployView:
        """It is final (or is not followed any longer); the view of all that was heard."""
        ...

    def say(self, text: str) -> None:
        """A remark that is no event."""
        ...


def follower(ui: Ui) -> Follower:
    """The right one for where the output goes."""
    if ui.as_json:
        return JsonFollower(ui.line, ui.remark)
    if ui.out.is_terminal and not ui.out.is_dumb_terminal:
        return LiveFollower(ui.out)
    return PlainFollower(ui.out)


class _Recorder:
    """Keeps the events of one deploy; of readings that replace each other only the newest."""

    def __init__(self) -> None:
        self.deploy: Deploy | None = None
        self._events: dict[object, Event] = {}

    def begin(self, deploy: Deploy) -> None:
        self.deploy, self._events = deploy, {}

    def update(self, deploy: Deploy) -> None:
        if self.deploy is not None and self.deploy.id == deploy.id:
            self.deploy = deploy.model_copy(update={"state": self.deploy.state, "updated_at": self.deploy.updated_at})

    def add(self, event: Event) -> None:
        key: object = event.seq
        if event.kind in _SUPERSEDED:
            data = event.data
            # The first reading stays too: the rate, and with it the ETA, is measured from there.
            what = (event.kind, data.get("version"), data.get("name"), data.get("what"), data.get("phase"))
            key = (*what, "last") if (*what, "first") in self._events else (*what, "first")
            self._events.pop(key, None)
        self._events[key] = event
        if event.kind is EventKind.STATE and event.data.get("to") and self.deploy is not None:
            self.deploy = self.deploy.model_copy(update={"state": State(event.data["to"]), "updated_at": event.at})

    def view(self, deploy: Deploy | None = None) -> DeployView:
        shown = deploy or self.deploy
        assert shown is not None  # noqa: S101 - begin() comes first
        return deploy_view(shown, list(self._events.values()))


class JsonFollower:
    """One JSON line an event, `{"type": "event", …}`; at the end `{"type": "deploy", …}` with the whole view."""

    def __init__(self, write: Callable[[object], None], remark: Callable[[str], None]) -> None:
        self._write, self._remark = write, remark
        self._recorder = _Recorder()

    def begin(self, deploy: Deploy) -> None:
        """See Follower."""
        self._recorder.begin(deploy)

    def event(self, event: Event) -> None:
        """See Follower."""
        self._recorder.add(event)
        self._write({"type": "event", **event.model_dump(mode="json")})

    def update(self, deploy: Deploy) -> None:
        """See Follower."""
        self._recorder.update(deploy)

    def end(self, deploy: Deploy) -> DeployView:
        """See Follower."""
        view = self._recorder.view(deploy)
        self._write({"type": "deploy", **view.model_dump(mode="json")})
        return view

    def say(self, text: str) -> None:
        """See Follower."""
        self._remark(text)


class PlainFollower:
    """One line for everything worth a line; for log files, CI and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._recorder = _Recorder()
        self._last_progress: dict[str, tuple[float, int]] = {}

    def begin(self, deploy: Deploy) -> None:
        """See Follower."""
        self._recorder.begin(deploy)
        self._last_progress = {}
        self._print(Text(f"deploy {deploy.id} of {deploy.project}"))

    def event(self, event: Event) -> None:
        """See Follower."""
        self._recorder.add(event)
        if event.kind in (EventKind.PROGRESS, EventKind.MONITOR):
            if self._progress_is_due(event):
                self._print(_stamped(event, Level.INFO, self._progress_words(event)))
            return
        for line in lines(event):
            self._print(line)

    def _progress_words(self, event: Event) -> str:
        progress = self._recorder.view().progress
        if progress is None or progress.percent is None or not event.data.get("total"):
            return event.message
        left = f", about {duration(progress.eta_s)} left" if progress.eta_s is not None else ""
        name = " ".join(each for each in (progress.what, progress.phase) if each)
        return f"{name} {progress.percent:.0f} % ({amounts(progress)}{left})"

    def _progress_is_due(self, event: Event) -> bool:
        """Every tenth of the way, and every ten seconds; by the event's own time."""
        done, total = event.data.get("done"), event.data.get("total")
        tenth = int(10 * done / total) if total and done is not None else 0
        key = (
            f"{event.data.get('version')} {event.data.get('name') or event.data.get('what')} {event.data.get('phase')}"
        )
        now = event.at.timestamp()
        before = self._last_progress.get(key)
        due = before is None or now - before[0] >= _PLAIN_EVERY_S or (tenth > before[1] and now - before[0] >= 1)
        if due:
            self._last_progress[key] = (now, tenth)
        return due

    def update(self, deploy: Deploy) -> None:
        """See Follower."""
        self._recorder.update(deploy)

    def end(self, deploy: Deploy) -> DeployView:
        """See Follower."""
        return self._recorder.view(deploy)

    def say(self, text: str) -> None:
        """See Follower."""
        self._print(Text(text))

    def _print(self, text: Text) -> None:
        self._console.print(text, soft_wrap=True)


class LiveFollower:
    """A picture that is redrawn; what should stay readable afterwards is printed above it as it happens."""

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.time) -> None:
        self._console, self._clock = console, clock
        self._recorder = _Recorder()
        self._live: Live | None = None

    def begin(self, deploy: Deploy) -> None:
        """See Follower."""
        self._stop()
        self._recorder.begin(deploy)
        self._live = Live(
            console=self._console, get_renderable=self._picture, refresh_per_second=REFRESH_PER_S, transient=False
        )
        self._live.start()

    def event(self, event: Event) -> None:
        """See Follower."""
        self._recorder.add(event)
        for line in lines(event, above_picture=True):
            self._console.print(line, soft_wrap=True)

    def update(self, deploy: Deploy) -> None:
        """See Follower."""
        self._recorder.update(deploy)

    def end(self, deploy: Deploy) -> DeployView:
        """See Follower."""
        self._recorder.deploy = deploy
        self._stop()
        return self._recorder.view(deploy)

    def say(self, text: str) -> None:
        """See Follower."""
        self._console.print(Text(text, style="yellow"))

    def _stop(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def _picture(self) -> RenderableType:
        if self._recorder.deploy is None:
            return ""
        view = self._recorder.view()
        now = self._clock()
        elapsed = view.duration_s if view.is_final else max(now - view.created_at.timestamp(), 0.0)
        began = [phase.started_at for phase in view.phases if phase.started_at]
        phase_s = max(now - began[-1].timestamp(), 0.0) if began else None
        return running(view, elapsed_s=elapsed, phase_s=phase_s)


def lines(event: NewEvent, *, above_picture: bool = False) -> list[Text]:
    """An event as lines of text; none where it is not worth one.

    Args:
        event: what happened.
        above_picture: leave out what the live picture shows anyway: phases, migrations, passed checks.
    """
    if told_already(event) or (above_picture and _in_picture(event)):
        return []
    words_of = _WORDS.get(event.kind)
    text, level = words_of(event) if words_of else ("", Level.INFO)
    if not text:
        return []
    quiet = event.kind is EventKind.NOTICE and level is Level.INFO
    made = [_stamped(event, level, text, style="dim" if quiet else "")]
    if event.kind is EventKind.LOCK_WAIT and not above_picture:
        made += _blockers(event)
    return made


_Words = tuple[str, Level]


def _state(event: NewEvent) -> _Words:
    if not event.data.get("to"):
        return event.message, Level.INFO
    state = State(event.data["to"])
    title = TITLES[state].lower()
    if state in (State.SUCCEEDED, State.CANCELLED):
        title = f"{title}: {event.message}"
    return title, LEVELS[state] if state in FINAL else Level.INFO


def _check(event: NewEvent) -> _Words:
    result = CheckResult.model_validate(event.data)
    text = {
        Verdict.PASSED: "passed",
        Verdict.FAILED: f"failed: expected {result.expected}, observed {result.observed}",
        Verdict.ERRORED: f"could not run: {result.observed}",
    }[result.verdict]
    return f"check {result.id} {text}", check_level(result)


def _notice(event: NewEvent) -> _Words:
    word = str(event.data.get("level", "NOTICE"))
    return f"{word}: {event.message}", Level.WARNING if word == "WARNING" else Level.INFO


def _finding(event: NewEvent) -> _Words:
    level = SEVERITY_LEVELS[event.severity]
    return (event.message, level) if level is not Level.INFO or is_note(event) else ("", level)


def _rung(event: NewEvent) -> _Words:
    differences = [str(each) for each in event.data.get("differences") or ()]
    more = f": {words.listing(differences)}" if differences else ""
    return event.message + more, Level.GOOD if event.data.get("ok") else Level.WARNING


def _approval(event: NewEvent) -> _Words:
    answer = str(event.data.get("answer") or "")
    if not answer:  # what it is about has a line of its own: the proposal
        return f"waiting for approval: {event.data.get('reason', '')}", Level.WARNING
    return event.message, APPROVAL_LEVELS.get(answer, Level.WARNING)


def _as_it_is(event: NewEvent) -> _Words:
    return event.message, SEVERITY_LEVELS[event.severity]


_WORDS: dict[EventKind, Callable[[NewEvent], _Words]] = {
    EventKind.STATE: _state,
    EventKind.CHECK: _check,
    EventKind.NOTICE: _notice,
    EventKind.FINDING: _finding,
    EventKind.RUNG: _rung,
    EventKind.CHANGES: _as_it_is,
    EventKind.PROPOSAL: _as_it_is,
    EventKind.APPROVAL: _approval,
    EventKind.PLATFORM_RESTORE: _as_it_is,
    EventKind.FAILURE: lambda event: (event.message, Level.ERROR),
    EventKind.MIGRATION_STARTED: _as_it_is,
    EventKind.MIGRATION_FINISHED: lambda event: (event.message, Level.GOOD),
    EventKind.LOCK_WAIT: lambda event: (event.message, Level.WARNING),
    EventKind.SNAPSHOT: _as_it_is,
    EventKind.BACKUP: _as_it_is,
    EventKind.LOG: _as_it_is,
}


def _blockers(event: NewEvent) -> list[Text]:
    blockers = tuple(dict(each) for each in event.data.get("blockers") or ())
    wait = LockWait(at=event.at, version="", attempt=0, message="", blockers=blockers)
    return list(lock_lines(wait))[1:]


def _in_picture(event: NewEvent) -> bool:
    if event.kind is EventKind.CHECK:
        return event.data.get("verdict") == Verdict.PASSED
    if event.kind is EventKind.APPROVAL:
        return not event.data.get("answer")
    if event.kind is EventKind.PROPOSAL:
        return event.data.get("verdict") == "ask"
    return event.kind in {
        EventKind.STATE,
        EventKind.MIGRATION_STARTED,
        EventKind.MIGRATION_FINISHED,
        EventKind.SNAPSHOT,
        EventKind.BACKUP,
    }


def _stamped(event: NewEvent, level: Level, text: str, *, style: str = "") -> Text:
    return Text.assemble((f"{event.at:%H:%M:%S} ", "dim"), mark(level), " ", (text, style or STYLES[level]))
