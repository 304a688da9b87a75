"""backup create|list|verify|show|prune, and restore."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.ui import Ui, command

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.cli._service import Service
    from agent.core.models import BackupRecord, NewEvent

PANEL = "Backups"
_PROGRESS_EVERY_S = 5.0
BackupId = Annotated[str, typer.Argument(metavar="BACKUP", help="A backup's id, or the beginning of it.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Take, list, check and remove backups.", no_args_is_help=True)
    command(group, "create")(create)
    command(group, "list")(list_)
    command(group, "show")(show)
    command(group, "verify")(verify)
    command(group, "prune")(prune)
    app.add_typer(group, name="backup", rich_help_panel=PANEL)
    command(app, "restore", rich_help_panel=PANEL)(restore)


def _progress(ui: Ui, *, every_s: float = 0.0) -> Callable[[NewEvent], None]:
    """Shows what happens while it happens: lines on stderr, for people.

    Args:
        every_s: how often at most a line says how far it is; 0: never.
    """
    from agent.cli.live import lines
    from agent.core.models import EventKind

    told = 0.0

    def listen(event: NewEvent) -> None:
        nonlocal told
        if ui.as_json:
            return
        for line in lines(event):
            ui.err.print(line, soft_wrap=True)
        now = event.at.timestamp()
        done = event.data.get("done") == event.data.get("total")
        if event.kind is EventKind.PROGRESS and every_s and (done or now - told >= every_s):
            told = now
            ui.err.print(f"{event.at:%H:%M:%S}   {event.message}", style="dim", soft_wrap=True)

    return listen


async def create(ui: Ui) -> None:
    """Take a backup now, without deploying."""
    from agent.report.words import size

    async with ui.service() as agent:
        record = await agent.backup(_progress(ui))
    ui.document(record)
    ui.show(f"Backup {record.id} is published ({size(record.bytes)}): {record.location}")


async def list_(ui: Ui) -> None:
    """List backups, newest first."""
    from agent.cli.render import lists

    async with ui.service() as agent:
        records = await agent.backups()
    ui.document({"backups": [each.model_dump(mode="json") for each in records]})
    ui.show(lists.backups(records) if records else "No backup yet.")


async def show(ui: Ui, backup_id: BackupId) -> None:
    """Show what is in a backup."""
    from agent.cli.render import lists

    async with ui.service() as agent:
        manifest = await agent.backup_manifest(backup_id)
        record = await _record(agent, manifest.id)
    ui.document({"backup": record.model_dump(mode="json"), "manifest": manifest.model_dump(mode="json")})
    ui.show(lists.backup(record, manifest))


async def _record(agent: Service, backup_id: str) -> BackupRecord:
    from agent.errors import NotFoundError

    for record in await agent.backups():
        if record.id == backup_id:
            return record
    raise NotFoundError(
        f"there is no backup {backup_id!r}", code="notfound.backup", hint="See `deploy-agent backup list`."
    )


async def verify(
    ui: Ui,
    backup_id: BackupId,
    restore: Annotated[
        bool, typer.Option("--restore", help="Also restore it into a scratch database and compare.")
    ] = False,
) -> None:
    """Read a backup again: every file's checksum, and whether pg_restore understands it."""
    async with ui.service() as agent:
        record = await agent.verify_backup(backup_id, restore=restore)
    ui.document(record)
    how = "was restored into a scratch database and compared" if restore else "is complete and readable"
    ui.show(f"Backup {record.id} {how}.")


async def prune(
    ui: Ui,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would go.")] = False,
) -> None:
    """Remove the backups that the retention rules let go. The last verified one always stays."""
    from agent.cli.render import lists
    from agent.core.units import count

    async with ui.service() as agent:
        gone = await agent.prune(dry_run=dry_run)
        waiting = sorted(await agent.salvages.waiting())
    removed = [each.model_dump(mode="json") for each in gone]
    ui.document({"dry_run": dry_run, "removed": removed, "kept_for_salvage": waiting})
    if gone:
        ui.show(lists.backups(gone), "")
    ui.show(f"{'Would remove' if dry_run else 'Removed'} {count(len(gone), 'backup')}.")
    if waiting:
        ui.remark(f"Kept for a salvage that is not settled (see `deploy-agent salvage list`): {', '.join(waiting)}")


async def restore(
    ui: Ui,
    *,
    backup_id: BackupId,
    to: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="URL",
            help="Restore into this database instead, side by side. `env(NAME)` takes the URL from a variable, which "
            "keeps its password out of the process list.",
            show_default=False,
        ),
    ] = "",
    to_file: Annotated[
        Path | None, typer.Option("--to-file", metavar="FILE", help="As --to; the URL is in this file.")
    ] = None,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="With --to: that database need not be empty; its application schemas are replaced."
        ),
    ] = False,
    jobs: Annotated[
        int | None,
        typer.Option("--jobs", "-j", min=1, max=64, help="With --to: connections at once. Default: backup.jobs."),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Bring the application's schemas back to a backup: in place, or with --to in another database.

    In place, what is there now is backed up first. Rows written since the backup are then only in that safety backup.

    With --to the other database is filled by several connections, then compared with the backup: rows, contents,
    definitions. It must be empty; what Supabase itself has in a new project does not count.
    """
    if to or to_file is not None:
        await _restore_to(ui, backup_id, to, to_file, overwrite=overwrite, jobs=jobs, yes=yes)
        return
    if overwrite or jobs is not None:
        from agent.errors import InputError

        raise InputError(
            "--overwrite and --jobs are for a restore into another database",
            code="input.no_other_database",
            hint="Name it with --to or --to-file, or leave them out to restore in place.",
        )
    from agent.report.words import size

    async with ui.service() as agent:
        manifest = await agent.backup_manifest(backup_id)
        ui.confirm(
            f"Replace the application's schemas ({', '.join(manifest.schemas)}) in {manifest.target} by the backup of "
            f"{manifest.created_at:%Y-%m-%d %H:%M} UTC ({size(manifest.bytes)})?",
            yes=yes,
        )
        safety = await agent.restore(manifest.id, _progress(ui))
    ui.document({"restored": manifest.id, "safety_backup": safety.model_dump(mode="json")})
    ui.show(
        f"The database is back at {manifest.id}.",
        f"To undo this: deploy-agent restore {safety.id}",
    )


async def _restore_to(
    ui: Ui, backup_id: str, to: str, to_file: Path | None, *, overwrite: bool, jobs: int | None, yes: bool
) -> None:
    from agent.cli.render.aside import aside
    from agent.settings import other_database_url

    url = other_database_url(to, to_file)
    async with ui.service() as agent:
        manifest = await agent.backup_manifest(backup_id)
        if overwrite:
            ui.confirm(
                "Drop what the application's schemas of the other database hold, and put the backup of "
                f"{manifest.created_at:%Y-%m-%d %H:%M} UTC ({', '.join(manifest.schemas)}) there?",
                yes=yes,
            )
        done = await agent.restore_to(
            manifest.id, url, overwrite=overwrite, jobs=jobs, on_event=_progress(ui, every_s=_PROGRESS_EVERY_S)
        )
    ui.document({"restored": manifest.id, **done.model_dump(mode="json"), "complete": done.complete})
    ui.show(aside(done))
