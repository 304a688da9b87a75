"""salvage list|show|apply|dismiss: rows that were kept before a restore."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.cli.ui import Ui, command

PANEL = "Backups"
SalvageId = Annotated[str, typer.Argument(metavar="SALVAGE", help="A salvage's id, or the beginning of it.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Rows that were kept before a restore took them away.", no_args_is_help=True)
    command(group, "list")(list_)
    command(group, "show")(show)
    command(group, "apply")(apply)
    command(group, "dismiss")(dismiss)
    app.add_typer(group, name="salvage", rich_help_panel=PANEL)


async def list_(ui: Ui) -> None:
    """List salvages, newest first."""
    from agent.cli.render import salvage

    async with ui.service() as agent:
        found = await agent.salvages.all()
    ui.document({"salvages": [each.model_dump(mode="json") for each in found]})
    ui.show(salvage.listed(found) if found else "No salvage.")


async def show(
    ui: Ui,
    salvage_id: SalvageId,
    rows: Annotated[int, typer.Option("--rows", min=0, help="Also show so many rows of each table.")] = 0,
) -> None:
    """Show what was kept: how many rows of each table, and whose they are."""
    from agent.cli.render import salvage

    async with ui.service() as agent:
        found, sample = await agent.salvages.show(salvage_id, rows=rows)
    ui.document({"salvage": found.model_dump(mode="json"), "rows": sample})
    ui.show(*salvage.one(found, sample))


async def apply(
    ui: Ui,
    *,
    salvage_id: SalvageId,
    unclear: Annotated[bool, typer.Option("--unclear", help="Also rows that may be the deploy's own.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Where another row has the same primary key, replace its values.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Put kept rows back where they fit, in one transaction. What does not fit is told.

    A row that is there already stays as it is, and so does another one under the same key. The tables' triggers do not
    fire. A salvage of which nothing is left over is settled.
    """
    from agent.cli.render import salvage
    from agent.core.salvage import Settlement, Wishes
    from agent.core.units import count

    wishes = Wishes(unclear=unclear, overwrite=overwrite, dry_run=dry_run)
    async with ui.service() as agent:
        found, _ = await agent.salvages.show(salvage_id)
        if not dry_run:
            rows = found.rows if unclear else found.application
            ui.confirm(f"Put up to {count(rows, 'row')} back into {count(len(found.tables), 'table')}?", yes=yes)
        found, applied = await agent.salvages.apply(found.id, wishes)
    ui.document(
        {
            "salvage": found.model_dump(mode="json"),
            "dry_run": dry_run,
            "applied": [{**each.model_dump(mode="json"), "left_over": each.left_over} for each in applied],
        }
    )
    ui.show(salvage.applied(applied), "")
    left = count(sum(each.left_over for each in applied), "row")
    if dry_run:
        ui.show("Nothing was changed.")
    elif found.settled is Settlement.APPLIED:
        ui.show("All of it is in the database.")
    else:
        ui.show(f"{left} left over. When nobody needs them: deploy-agent salvage dismiss {found.id}")


async def dismiss(ui: Ui, salvage_id: SalvageId) -> None:
    """Settle a salvage that nobody needs: its backup may then be removed when its time is over."""
    async with ui.service() as agent:
        found = await agent.salvages.dismiss(salvage_id)
    ui.document(found)
    ui.show(f"Salvage {found.id} is dismissed. It lies beside its backup until that one is removed.")
