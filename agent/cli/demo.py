"""The demo's screen: plain lines, so that all of it can be read afterwards."""

from __future__ import annotations

from rich.rule import Rule

from agent.cli.live import PlainFollower
from agent.cli.render.deploy import outcome, timeline
from agent.cli.ui import Ui
from agent.core.models import Deploy, Event


class Stage:
    """Implements `agent.demo.Show`."""

    def __init__(self, ui: Ui) -> None:
        self._ui = ui
        self._follower = PlainFollower(ui.out)

    def heading(self, text: str) -> None:
        """See `agent.demo.Show`."""
        self._ui.out.print()
        self._ui.out.print(Rule(text, align="left"))

    def say(self, text: str) -> None:
        """See `agent.demo.Show`."""
        self._ui.out.print(text, markup=False, highlight=False)

    def begin(self, deploy: Deploy) -> None:
        """See `agent.demo.Show`."""
        self._follower.begin(deploy)

    def event(self, event: Event) -> None:
        """See `agent.demo.Show`."""
        self._follower.event(event)

    def end(self, deploy: Deploy) -> None:
        """See `agent.demo.Show`."""
        view = self._follower.end(deploy)
        self._ui.out.print()
        self._ui.show(outcome(view))
        self._ui.out.print("\nTimeline", style="bold")
        self._ui.show(timeline(view))
