"""The states of a deploy as a Mermaid diagram, drawn from the one table of transitions."""

from __future__ import annotations

import re

from agent.core.states import FINAL, TRANSITIONS, State


def state_diagram() -> str:
    """A `stateDiagram-v2` (https://mermaid.js.org/syntax/stateDiagram.html), one line a transition."""
    lines = ["stateDiagram-v2", "    direction LR", f"    [*] --> {State.QUEUED}"]
    lines += [f"    {before} --> {after}: {move}" for (before, move), after in TRANSITIONS.items()]
    lines += [f"    {state} --> [*]" for state in State if state in FINAL]
    return "\n".join(lines) + "\n"


def with_diagram(document: str) -> str:
    """The document with its diagram made anew."""
    return re.sub(
        r"(?<=<!-- generated: states -->\n```mermaid\n).*?(?=```\n<!-- end generated -->)",
        state_diagram(),
        document,
        count=1,
        flags=re.DOTALL,
    )
