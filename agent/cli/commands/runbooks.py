"""runbook schema|check|show."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.ui import Ui, command

if TYPE_CHECKING:
    from agent.core.runbook import Runbook

RunbookFile = Annotated[
    Path | None,
    typer.Argument(metavar="[FILE]", help="The runbook. Default: `runbook` of the settings.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="The runbook: what is checked before, while and after.", no_args_is_help=True)
    command(group, "schema")(schema)
    command(group, "check")(check)
    command(group, "show")(show)
    app.add_typer(group, name="runbook", rich_help_panel="Project")


def schema(ui: Ui) -> None:
    """Print the runbook's JSON Schema, for editors and CI."""
    from agent.cli.ui import to_json
    from agent.core.runbook_io import json_schema

    typer.echo(to_json(json_schema(), indent=2))
    del ui


def check(ui: Ui, file: RunbookFile = None) -> None:
    """Check a runbook without a database: unknown keys and wrong values are shown with line and column."""
    from agent.core.units import count

    path, runbook = _load(ui, file)
    checks = sum(1 for _ in runbook.all_checks())
    ui.document({"ok": True, "file": str(path), "title": runbook.title, "checks": checks})
    migrations = count(len(runbook.migrations), "migration")
    ui.show(f"{path} is valid: {runbook.title!r}, {count(checks, 'check')}, {migrations}.")


def show(ui: Ui, file: RunbookFile = None) -> None:
    """Show a runbook as the agent understands it."""
    from agent.cli.render.runbook import runbook_story

    _, runbook = _load(ui, file)
    ui.document(runbook)
    ui.show(runbook_story(runbook))


def _load(ui: Ui, file: Path | None) -> tuple[Path, Runbook]:
    from agent.edges.runbook_file import load_runbook_file
    from agent.errors import NotFoundError

    path = file or ui.settings().runbook
    runbook = load_runbook_file(path)
    if runbook is None:
        raise NotFoundError(
            f"there is no runbook {path}",
            code="notfound.runbook",
            hint="Write one (`deploy-agent init` makes a start), or set `runbook` in the settings.",
            where={"file": str(path)},
        )
    return path, runbook
