"""Small pieces that several commands show: an error, findings, commands to type next, plain tables."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from agent.cli.render.style import mark
from agent.core.models import Finding, Severity
from agent.core.units import count
from agent.errors import AgentError, StatementError
from agent.report.models import SEVERITY_LEVELS, Level, NextCommand


def error_block(error: AgentError) -> RenderableType:
    """One block: code, message, where, hint."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    where = place(error.where)
    if where:
        grid.add_row("where", where)
    if isinstance(error, StatementError):
        grid.add_row("sqlstate", error.sqlstate)
        for name, text in (("detail", error.detail), ("server", error.server_hint)):
            if text:
                grid.add_row(name, text)
    if error.hint:
        grid.add_row("hint", error.hint)
    head = Text.assemble(("error", "bold red"), "  ", (error.code, "bold"))
    message = Padding(Text(error.message), (0, 0, 0, 2), expand=False)
    parts: list[RenderableType] = [head, message]
    return Group(*parts, Padding(grid, (0, 0, 0, 2), expand=False)) if grid.row_count else Group(*parts)


def place(where: dict[str, str | int]) -> str:
    """`file:line:column`, and what else is known of the place: `deploy-agent.yaml:3:5, field http.port`."""
    rest = dict(where)
    words = []
    if "file" in rest:
        numbers = [str(rest.pop(key)) for key in ("line", "column") if key in rest]
        words.append(":".join([str(rest.pop("file")), *numbers]))
    words += [f"{key} {value}" for key, value in rest.items()]
    return ", ".join(words)


def finding_rows(findings: Sequence[Finding], *, ok_level: Level = Level.INFO) -> RenderableType:
    """Findings, one after the other: mark, message, then place, hint and code.

    Args:
        findings: in the order to be shown.
        ok_level: how a `doctor.…` finding of severity `info` is marked: what was looked at and is in order.
    """
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for finding in findings:
        level = SEVERITY_LEVELS[finding.severity]
        if level is Level.INFO and finding.code.startswith("doctor."):
            level = ok_level
        grid.add_row(mark(level), Text(finding.message))
        if finding.severity is Severity.INFO:
            continue
        # A message that names the file (and its line) needs no place below it.
        where = "" if str(finding.where.get("file", "\n")) in finding.message else place(finding.where)
        for text in ([where] if where else []) + ([finding.hint] if finding.hint else []):
            grid.add_row("", Text(text, style="dim"))
        grid.add_row("", Text(finding.code, style="dim"))
    return grid


def next_commands(commands: Sequence[NextCommand]) -> RenderableType:
    """`Next:` and the commands, each with what it is good for."""
    grid = Table.grid(padding=(0, 3))
    grid.add_column(no_wrap=True)
    grid.add_column(style="dim", overflow="fold")
    for each in commands:
        grid.add_row(Text(f"  {each.command}", style="bold"), each.why)
    return Group(Text("Next:"), grid)


def table(*columns: str, right: Sequence[str] = ()) -> Table:
    """A table with a header line and no frame; the columns named in `right` are right-aligned."""
    made = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")
    for name in columns:
        made.add_column(name, justify="right" if name in right else "left", overflow="fold")
    return made


def findings_summary(findings: Sequence[Finding]) -> str:
    """`2 problems, 1 warning`, or `everything is in order`."""
    errors = sum(1 for each in findings if each.severity is Severity.ERROR)
    warnings = sum(1 for each in findings if each.severity is Severity.WARNING)
    words = [count(errors, "problem")] * bool(errors) + [count(warnings, "warning")] * bool(warnings)
    return ", ".join(words) or "everything is in order"
