"""Plans, backups and the status in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from agent.cli.render.blocks import finding_rows, table
from agent.cli.render.style import BACKUP_STYLES, STYLES, mark, state_text
from agent.core.backups import Manifest
from agent.core.models import BackupRecord
from agent.core.units import count, duration
from agent.report import words
from agent.report.models import Level
from agent.report.plan_view import PlanView, remarks
from agent.report.status_view import StatusView

_MOST_FILES = 60


def plan(view: PlanView) -> RenderableType:
    """What a deploy would do now."""
    level = Level.GOOD if view.can_run else Level.ERROR
    head = Text.assemble(mark(level), " ", (view.headline, f"bold {STYLES[level]}"))
    parts: list[RenderableType] = [head]
    if view.migrations:
        parts += [Text(f"  strategy {view.strategy.value}: {view.reason}"), ""]
        timed = any(each.expected for each in view.migrations)
        made = table("migration", "statements", *(["expected"] if timed else []), "", right=("statements",))
        for each in view.migrations[:_MOST_FILES]:
            note = Text(remarks(each), style="yellow" if each.destructive else "dim")
            made.add_row(each.file, f"{each.statements:,}", *([each.expected] if timed else []), note)
        parts.append(made)
        if len(view.migrations) > _MOST_FILES:
            parts.append(Text(f"… {count(len(view.migrations) - _MOST_FILES, 'more file')}", style="dim"))
    if view.findings:
        parts += ["", finding_rows(view.findings)]
    if view.migrations and view.can_run:
        exactly = Text(f"To deploy exactly this plan: deploy-agent deploy --plan {view.fingerprint}", style="dim")
        parts += ["", exactly]
    return Group(*parts)


def backups(records: Sequence[BackupRecord]) -> RenderableType:
    """Backups, newest first."""
    made = table("backup", "taken (UTC)", "size", "state", "of deploy", right=("size",))
    for each in records:
        verified = f" {each.verified_at:%Y-%m-%d}" if each.verified_at else ""
        made.add_row(
            Text(each.id, no_wrap=True),
            f"{each.created_at:%Y-%m-%d %H:%M}",
            words.size(each.bytes),
            Text(f"{each.state.value}{verified}", style=BACKUP_STYLES[each.state]),
            each.deploy_id,
        )
    return made


def backup(record: BackupRecord, manifest: Manifest) -> RenderableType:
    """One backup with what is in it."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    rows = {
        "backup": record.id,
        "state": record.state.value,
        "location": record.location,
        "database": manifest.target,
        "taken": f"{manifest.created_at:%Y-%m-%d %H:%M:%S} UTC, "
        f"in {duration((manifest.finished_at - manifest.created_at).total_seconds())}",
        "size": f"{words.size(manifest.bytes)} in {count(len(manifest.files), 'file')}",
        "server": f"PostgreSQL {manifest.server_version}, pg_dump {manifest.tool_version}",
        "schemas": ", ".join(manifest.schemas),
        "log position": manifest.lsn,
        "encryption": manifest.encryption or "none",
        "of deploy": record.deploy_id or "none",
        "values": ", ".join(f"{name} {value}" for name, value in manifest.values.items()),
    }
    for name, value in rows.items():
        if value:
            facts.add_row(name, value)
    made = table("table", "rows", right=("rows",))
    for name, number in sorted(manifest.rows.items(), key=lambda item: -item[1]):
        made.add_row(name, f"{number:,}")
    return Group(facts, "", made) if manifest.rows else facts


def status(view: StatusView) -> RenderableType:
    """The project at one look."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("project", view.project)
    facts.add_row("database", view.database)
    if view.problem:
        facts.add_row("", Text.assemble(mark(Level.ERROR), f" {view.problem}"))
    else:
        facts.add_row("applied", f"{view.applied:,}" + (f", last {view.last_applied}" if view.last_applied else ""))
        pending = count(len(view.pending), "migration") if view.pending else "none"
        facts.add_row("pending", Text(pending, style="yellow" if view.pending else ""))
        for name in view.pending[:10]:
            facts.add_row("", Text(name, style="dim"))
        if len(view.pending) > 10:
            facts.add_row("", Text(f"… {len(view.pending) - 10} more", style="dim"))
    if view.last_backup:
        backup_words = f"{view.last_backup.id}, {words.size(view.last_backup.bytes)}, {view.last_backup.state.value}"
        facts.add_row("last backup", backup_words)
    else:
        facts.add_row("last backup", "none")
    for name, deploy in (("running", view.running), ("last deploy", view.last)):
        if deploy is not None:
            facts.add_row(
                name, Text.assemble(deploy.id, " ", state_text(deploy.state, waits=deploy.waits_for_approval))
            )
            facts.add_row("", deploy.headline)
    return facts
