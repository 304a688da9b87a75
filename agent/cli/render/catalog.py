"""Differences between two catalogs, and what a deploy changed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import unified_diff

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from agent.core.catalog import CatalogDiff, Change, Detail
from agent.report import words
from agent.report.models import ChangesRow

_MOST_NAMES = 12
_MOST_LINES = 40
_STYLES = {"created": "green", "dropped": "red", "altered": "yellow"}


def catalog_diff(found: CatalogDiff) -> RenderableType:
    """Everything that differs, under the words created, dropped, altered."""
    parts: list[RenderableType] = []
    for title, changes in (("created", found.created), ("dropped", found.dropped), ("altered", found.altered)):
        if changes:
            parts += ["", Text(f"{title} ({len(changes):,})", style=f"bold {_STYLES[title]}")]
            parts += [Padding(part, (0, 0, 0, 2)) for change in changes for part in _change(change)]
    return Group(*parts[1:])


def _change(change: Change) -> Iterator[RenderableType]:
    yield Text(change.name)
    for detail in change.details:
        yield Padding(Group(Text(detail.what.replace("_", " "), style="dim"), *_lines(detail)), (0, 0, 0, 2))
    if change.dependents:
        names = words.listing([name.replace(":", " ", 1) for name in change.dependents])
        yield Text(f"  on it hang: {names}", style="dim")


def _lines(detail: Detail) -> Iterator[Text]:
    """A word or a line each before and now; of a longer text the lines that differ, with one around them."""
    before, now = detail.before.splitlines(), detail.now.splitlines()
    lines = [line for line in unified_diff(before, now, lineterm="", n=1) if not line.startswith(("---", "+++", "@@"))]
    for line in lines[:_MOST_LINES]:
        yield Text(f"{line[0]} {line[1:]}", style={"+": "green", "-": "red"}.get(line[0], ""))
    if len(lines) > _MOST_LINES:
        yield Text(f"… {len(lines) - _MOST_LINES:,} more lines; --json has them all", style="dim")


def changes(row: ChangesRow) -> RenderableType:
    """What a deploy changed: counts and names."""
    told = {"created": row.created, "dropped": row.dropped, "altered": row.altered}
    lines = [
        Text.assemble(
            ("  " + title, _STYLES[title]), f" {row.counts.get(title, len(names)):,}: ", _names(row, title, names)
        )
        for title, names in told.items()
        if names
    ]
    return Group(Text("What changed", style="bold"), *(lines or [Text("  nothing in the catalog", style="dim")]))


def _names(row: ChangesRow, title: str, names: Sequence[str]) -> str:
    more = row.counts.get(title, len(names)) - _MOST_NAMES
    shown = ", ".join(name.replace(":", " ", 1) for name in names[:_MOST_NAMES])
    return shown + (f" and {more:,} more" if more > 0 else "")
