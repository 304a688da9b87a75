"""The demo's screen: plain lines, so that all of it can be read afterwards; with --json one object a line."""

from __future__ import annotations

from rich.rule import Rule
from rich.text import Text

from agent.cli.live import Follower, JsonFollower, PlainFollower
from agent.cli.render.deploy import outcome, timeline
from agent.cli.ui import Ui
from agent.core.models import Deploy, Event


class Stage:
    """Implements `agent.demo.Show`."""

    def __init__(self, ui: Ui) -> None:
        self._ui = ui
        self._follower: Follower = JsonFollower(ui.line, ui.remark) if ui.as_json else PlainFollower(ui.out)

    def heading(self, text: str) -> None:
        """See `agent.demo.Show`."""
        self._ui.show("", Rule(text, align="left"), "")
        self._line("heading", text)

    def say(self, text: str) -> None:
        """See `agent.demo.Show`."""
        self._ui.show(Text(text))
        self._line("say", text)

    def _line(self, kind: str, text: str) -> None:
        if self._ui.as_json:
            self._ui.line({"type": kind, "text": text})

    def begin(self, deploy: Deploy) -> None:
        """See `agent.demo.Show`."""
        self._follower.begin(deploy)

    def event(self, event: Event) -> None:
        """See `agent.demo.Show`."""
        self._follower.event(event)

    def end(self, deploy: Deploy) -> None:
        """See `agent.demo.Show`. The project is gone in a moment, so there is no command to type next."""
        view = self._follower.end(deploy)
        rows = tuple(row for row in view.timeline if row.what != "notice")  # shown a moment ago, when they came
        view = view.model_copy(update={"timeline": rows})
        self._ui.show(outcome(view, shown_already="deploy-agent"), "", Text("Timeline", style="bold"), timeline(view))
