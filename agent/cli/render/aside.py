"""A restore into another database in the terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from agent.cli.render.style import STYLES, mark
from agent.core.aside import Aside
from agent.core.units import count, duration
from agent.report.models import Level


def aside(done: Aside) -> RenderableType:
    """What was restored, and by name what was not."""
    level = Level.GOOD if done.complete else Level.WARNING
    tables, rows = count(done.tables, "table"), count(done.rows, "row")
    headline = f"{done.target} holds backup {done.backup_id}: {tables}, {rows}, in {duration(done.seconds)}"
    parts: list[RenderableType] = [
        Text.assemble(mark(level), " ", (headline, f"bold {STYLES[level]}")),
        Text("  compared with the backup: rows, contents and definitions are the same", style="dim"),
    ]
    for title, names in (
        ("rows put into Supabase's own tables", done.filled),
        ("left out, since this database cannot take it", done.left_out),
        (
            "foreign keys made NOT VALID, since rows they refer to are missing; import those, then VALIDATE CONSTRAINT",
            done.unchecked_keys,
        ),
    ):
        if names:
            parts.append(Text(f"  {title}:"))
            parts += [Text(f"    {name}") for name in names]
    return Group(*parts)
