"""diff: what of the catalog is not as a backup has it."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.cli.ui import Ui, command

PANEL = "Backups"


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "diff", rich_help_panel=PANEL)(diff)


async def diff(
    ui: Ui,
    *,
    backup_id: Annotated[
        str, typer.Argument(metavar="BACKUP", help="A backup's id, or the beginning of it; without one, the last.")
    ] = "",
) -> None:
    """Show what was created, dropped and altered since a backup, and what hangs on each.

    Compared are the application's schemas and what hangs on them outside; not the rows.
    """
    from agent.cli.render.catalog import catalog_diff

    async with ui.service() as agent:
        backup, found = await agent.diff(backup_id)
    ui.document({"backup": backup.model_dump(mode="json"), "equal": found.none, **found.model_dump(mode="json")})
    if not found.none:
        ui.show(catalog_diff(found), "")
    taken = f"backup {backup.id} of {backup.created_at:%Y-%m-%d %H:%M} UTC"
    ui.show(f"Compared with {taken}." if not found.none else f"Nothing differs from {taken}.")
