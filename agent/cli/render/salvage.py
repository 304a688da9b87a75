"""Salvages in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from rich.console import RenderableType
from rich.text import Text

from agent.cli.render.blocks import table
from agent.core.salvage import Applied, Salvage

_WHOSE = {"a": "application", "u": "unclear"}
_WIDEST = 60


def listed(salvages: Sequence[Salvage]) -> RenderableType:
    """Salvages, newest first."""
    made = table("salvage", "taken (UTC)", "rows", "of tables", "state", "of deploy", right=("rows", "of tables"))
    for each in salvages:
        made.add_row(
            Text(each.id, no_wrap=True),
            f"{each.at:%Y-%m-%d %H:%M}",
            f"{each.rows:,}",
            f"{len(each.tables)}",
            each.settled.value,
            each.deploy_id,
        )
    return made


def one(salvage: Salvage, sample: Mapping[str, Sequence[Mapping[str, str | None]]]) -> Iterator[RenderableType]:
    """One salvage with its tables, and some of their rows."""
    yield Text(f"Salvage {salvage.id}, {salvage.settled.value}, beside backup {salvage.backup_id}")
    yield Text(f"{salvage.location}\n", style="dim")
    made = table("table", "rows", "application", "unclear", right=("rows", "application", "unclear"))
    for each in salvage.tables:
        made.add_row(each.table, f"{each.rows:,}", f"{each.application:,}", f"{each.unclear:,}")
    yield made
    if any(each.unclear for each in salvage.tables):
        yield Text("\nUnclear: the last version of the row is, or may be, the deploy's own.", style="dim")
    if any(each.deletes_unknown for each in salvage.tables):
        yield Text("Rows that the application deleted meanwhile come back; nobody can tell which.", style="dim")
    for each in salvage.tables:
        rows = sample.get(each.table, ())
        if rows:
            yield Text(f"\n{each.table}", style="bold")
            shown = table("", *each.columns)
            for row in rows:
                shown.add_row(_WHOSE.get(row[""] or "", ""), *(_cell(row[name]) for name in each.columns))
            yield shown


def _cell(value: str | None) -> Text:
    if value is None:
        return Text("null", style="dim")
    return Text(value if len(value) <= _WIDEST else f"{value[: _WIDEST - 1]}…")


def applied(tables: Sequence[Applied]) -> RenderableType:
    """What became of the rows."""
    names = ("inserted", "overwritten", "there", "differs", "refused", "left")
    words = ("inserted", "overwritten", "already there", "other row there", "refused", "left out")
    made = table("table", *words, "", right=words)
    for each in tables:
        notes = list(each.reasons)
        if each.left_out:
            notes.append(f"without {', '.join(each.left_out)}")
        made.add_row(each.table, *(f"{getattr(each, name):,}" for name in names), Text("; ".join(notes), style="dim"))
    return made
