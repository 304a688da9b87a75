"""A runbook in the terminal: what will be checked, and when."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from agent.cli.render.blocks import table
from agent.core.runbook import Runbook
from agent.report.words import clip


def runbook_story(runbook: Runbook) -> RenderableType:
    """Title, description, migrations with their expectations, and every check with its phase."""
    parts: list[RenderableType] = [Text(runbook.title, style="bold")]
    if runbook.description:
        parts.append(Text(runbook.description))
    if runbook.migrations:
        made = table("migration", "summary", "expected", "monitors", "checks", "rollback", right=("monitors", "checks"))
        for each in runbook.migrations:
            expected = ", ".join(
                str(span) if name == "any" else f"{name} {span}" for name, span in each.expected.items()
            )
            made.add_row(
                each.version,
                clip(each.summary, 60),
                expected,
                str(len(each.monitors)),
                str(len(each.checks)),
                "yes" if each.rollback else "",
            )
        parts += ["", made]
    placed = list(runbook.all_checks())
    if placed:
        checks = table("phase", "check", "title", "severity")
        for one in placed:
            checks.add_row(
                one.phase.removeprefix("migration:"), one.check.id, one.check.title, one.check.severity.value
            )
        parts += ["", checks]
    return Group(*parts)
