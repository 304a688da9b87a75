"""A deploy in the terminal: while it runs, when it has ended, and afterwards with its whole story."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from agent.cli.render.blocks import next_commands, table
from agent.cli.render.catalog import changes
from agent.cli.render.style import STYLES, VERDICT_STYLES, mark, state_text, status_mark
from agent.core.models import Approval, CheckResult, Deploy, Proposal, Verdict
from agent.core.restore_policy import RUNG_NAMES, rows_lost
from agent.core.states import State
from agent.core.units import count, duration
from agent.report import words
from agent.report.models import DeployView, Level, LockWait, MigrationRow, PhaseRow, Progress, Status

_BAR_WIDTH = 30
_MOST = 8  # so many migrations are shown whole
_MOST_DONE = 3  # migrations shown before the running one
_MOST_WAITING = 3  # and after it


def running(view: DeployView, *, elapsed_s: float, phase_s: float | None = None) -> RenderableType:
    """The live picture: phases, the running migration with its progress, what it waits for.

    Args:
        view: the deploy.
        elapsed_s: seconds since it was requested.
        phase_s: seconds since the running phase began; None: not known.
    """
    head = Text.assemble((view.project, "bold"), "  ", view.id, "  ", duration(elapsed_s))
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True, min_width=10)
    grid.add_column(overflow="ellipsis", no_wrap=True, min_width=56)
    grid.add_column(justify="right", no_wrap=True)
    for phase in view.phases:
        seconds = phase.duration_s if phase.status is not Status.RUNNING else phase_s
        style = "dim" if phase.status in (Status.WAITING, Status.SKIPPED) else ""
        time = duration(seconds) if seconds is not None else ""
        grid.add_row(status_mark(phase.status), Text(phase.title, style=style), Text(phase.detail, style="dim"), time)
        for row in _inside(view, phase):
            grid.add_row("", "", row, "")
    parts: list[RenderableType] = [head, grid]
    if view.cancel_reason and not view.is_final:
        parts.append(Text("Cancelling: waiting for a safe point, then the database goes back.", style="yellow"))
    return Group(*parts)


def _inside(view: DeployView, phase: PhaseRow) -> Iterator[RenderableType]:
    if phase.state is State.MIGRATE and phase.status in (Status.RUNNING, Status.FAILED):
        first, last = _window(view.migrations)
        if first > 0:
            yield Text(f"… {count(first, 'migration')} before", style="dim")
        yield from (_migration_line(row) for row in view.migrations[first:last])
        after = max(len(view.migrations), *(row.total for row in view.migrations)) - last if view.migrations else 0
        if after > 0:
            yield Text(f"… {after:,} more", style="dim")
    if phase.status is Status.RUNNING:
        if view.progress is not None:
            yield progress_line(view.progress)
        for monitor in view.monitors:
            if not monitor.total and any(
                row.version == monitor.version and row.status is Status.RUNNING for row in view.migrations
            ):
                yield Text(f"  {monitor.name}: {reading(monitor.values)}")
        if view.waits_for_approval:
            yield from approval_lines(view.approvals[-1], view.id)
        if view.lock_wait is not None:
            yield from lock_lines(view.lock_wait)


def _window(rows: Sequence[MigrationRow]) -> tuple[int, int]:
    """Which migrations are shown: all if they are few, else those around the one that runs."""
    if len(rows) <= _MOST:
        return 0, len(rows)
    now = next((i for i, row in enumerate(rows) if row.status in (Status.RUNNING, Status.FAILED)), None)
    if now is None:
        now = sum(1 for row in rows if row.status is Status.DONE)
    return max(now - _MOST_DONE, 0), min(now + 1 + _MOST_WAITING, len(rows))


def _migration_line(row: MigrationRow) -> Text:
    name = f"{row.version}_{row.name}" if row.name else row.version
    line = Text.assemble(status_mark(row.status), f" {row.index}/{row.total} ", name)
    if row.status is Status.RUNNING and row.statements_done:
        line.append(f"  {row.statements_done} of {row.statements} statements", style="dim")
    if row.status is Status.RUNNING and row.expected:
        line.append(f"  expected {row.expected}", style="dim")
    if row.duration_s is not None:
        line.append(f"  {duration(row.duration_s)}", style="dim")
    return line


def progress_line(progress: Progress) -> RenderableType:
    """`rows moved ━━━━━╸──── 43 %  4,300 of 10,000  about 13 s left`."""
    name = " ".join(each for each in (progress.what, progress.phase) if each)
    amount = amounts(progress)
    if progress.percent is None:
        return Text.assemble("  ", name, "  ", (amount, "dim"))
    grid = Table.grid(padding=(0, 1))
    left = f"about {duration(progress.eta_s)} left" if progress.eta_s is not None else ""
    bar = ProgressBar(total=100, completed=progress.percent, width=_BAR_WIDTH)
    grid.add_row(f"  {name}", bar, f"{progress.percent:3.0f} %", Text(amount, style="dim"), left)
    return grid


def reading(values: dict[str, Any]) -> str:
    """A monitor's values: `4,300`, or `tracks 4,300, posts 10,000`."""
    shown = {
        name: _number(value) if isinstance(value, int | float) and not isinstance(value, bool) else str(value)
        for name, value in values.items()
    }
    return (
        next(iter(shown.values())) if len(shown) == 1 else ", ".join(f"{name} {text}" for name, text in shown.items())
    )


def amounts(progress: Progress) -> str:
    """`4,300 of 10,000`; bytes as sizes."""
    sized = "byte" in progress.what or progress.what == "backup"
    show = words.size if sized else _number
    return f"{show(progress.done)} of {show(progress.total)}" if progress.total is not None else show(progress.done)


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"


def lock_lines(wait: LockWait) -> Iterator[Text]:
    """Who is in the way of the migration that waits for a lock."""
    attempt = f" (attempt {wait.attempt})" if wait.attempt else ""
    yield Text(f"  waits for a lock{attempt}", style="yellow")
    for blocker in wait.blockers:
        who = f"pid {blocker.get('pid', '?')}"
        names = [str(blocker[key]) for key in ("user", "application") if blocker.get(key)]
        seconds = blocker.get("seconds")
        since = f" for {duration(float(seconds))}" if isinstance(seconds, int | float) else ""
        query = words.clip(str(blocker.get("query") or ""), 80)
        known_as = f" ({', '.join(names)})" if names else ""
        yield Text(f"    {who}{known_as}{since}: {query}", style="yellow")


def approval_lines(approval: Approval, deploy_id: str) -> Iterator[Text]:
    """What is asked, and how to answer."""
    for name, text in proposal_facts(approval.proposal):
        yield Text.assemble((f"  {name:<15}", "dim"), words.clip(text, 100))
    yield Text(f"  asked at {approval.asked_at:%H:%M:%S} UTC: {approval.reason}", style="yellow")
    yield Text(f"  deploy-agent approve {deploy_id}        (or --reject)", style="bold yellow")


def proposal_facts(proposal: Proposal) -> list[tuple[str, str]]:
    """What a rung would do, fact by fact."""
    reload = ("would reload", words.listing(proposal.tables, most=_MOST) or "no table")
    return [
        ("would undo", words.listing(proposal.undone, most=_MOST) or "what the deploy committed"),
        ("would", proposal.way) if proposal.way else reload,
        ("rows salvaged", f"{proposal.rows_salvaged:,}"),
        ("would lose", rows_lost(proposal)),
        ("would take", f"about {duration(proposal.seconds)}"),
        ("from backup", proposal.backup_id),
    ]


def proposal(approval: Approval) -> RenderableType:
    """`approve`: everything that is asked."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("rung", f"{approval.proposal.rung}, {RUNG_NAMES.get(approval.proposal.rung, 'restore')}")
    for name, text in proposal_facts(approval.proposal):
        facts.add_row(name, text)
    facts.add_row("asked", f"{approval.asked_at:%Y-%m-%d %H:%M:%S} UTC: {approval.reason}")
    return facts


def outcome(view: DeployView, *, shown_already: str = "") -> RenderableType:
    """What a person must know when a deploy has ended: headline, paragraph, failed checks, next commands.

    Args:
        view: the deploy.
        shown_already: leave out the next commands that begin so.
    """
    head = Text.assemble(mark(view.level), " ", (view.headline, f"bold {STYLES[view.level]}"))
    parts: list[RenderableType] = ["", head]
    if view.paragraph:
        parts += [Padding(Text(view.paragraph), (0, 0, 0, 2))]
    bad = [check for check in view.checks if check.verdict is not Verdict.PASSED]
    if bad:
        parts += ["", checks_table(bad)]
    if view.changes:
        parts += ["", Padding(changes(view.changes), (0, 0, 0, 2))]
    commands = [each for each in view.next_commands if not shown_already or not each.command.startswith(shown_already)]
    if commands:
        parts += ["", next_commands(commands)]
    return Group(*parts)


def story(view: DeployView, *, all_checks: bool = False) -> RenderableType:
    """`show`: the outcome, and everything that led to it."""
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    facts.add_column(overflow="fold")
    facts.add_row("deploy", view.id)
    facts.add_row("project", view.project)
    facts.add_row("state", state_text(view.state, waits=view.waits_for_approval))
    facts.add_row("requested", f"{view.created_at:%Y-%m-%d %H:%M:%S} UTC by {view.requested_by}")
    facts.add_row("duration", duration(view.duration_s))
    if view.strategy:
        facts.add_row("strategy", view.strategy.value)
    if view.backup_id:
        facts.add_row("backup", view.backup_id)
    parts: list[RenderableType] = [facts, outcome(view, shown_already="deploy-agent show"), "", timeline(view)]
    if all_checks and view.checks:
        parts += ["", checks_table(view.checks)]
    return Group(*parts)


def timeline(view: DeployView) -> RenderableType:
    """The story line by line."""
    made = table("time", "", "what", "detail", "took", right=("time", "took"))
    made.columns[0].no_wrap = made.columns[2].no_wrap = made.columns[4].no_wrap = True
    for row in view.timeline:
        took = duration(row.duration_s) if row.duration_s is not None else ""
        made.add_row(
            Text(words.offset(row.offset_s), style="dim"),
            mark(row.level),
            Text(row.what, style=STYLES[row.level]),
            Text(row.detail, style="dim" if row.what == "notice" and row.level is Level.INFO else ""),
            Text(took, style="dim"),
        )
    return made


def checks_table(checks: Sequence[CheckResult]) -> RenderableType:
    """Checks with what was expected and what was observed."""
    made = table("check", "when", "verdict", "expected", "observed", "took", right=("took",))
    made.columns[2].no_wrap = made.columns[5].no_wrap = True
    for check in checks:
        soft = check.verdict is not Verdict.PASSED and check.severity.value != "error"
        made.add_row(
            check.id,
            check.phase.removeprefix("migration:"),
            Text(
                f"{check.verdict.value}{' (warns)' if soft else ''}",
                style="yellow" if soft else VERDICT_STYLES[check.verdict],
            ),
            Text(words.clip(check.expected, 200)),
            Text(words.clip(check.observed, 200)),
            duration(check.seconds),
        )
    return made


def history(deploys: Sequence[Deploy]) -> RenderableType:
    """Deploys, newest first."""
    made = table("deploy", "requested (UTC)", "state", "migrations", "took", "by", right=("migrations", "took"))
    for deploy in deploys:
        took = (deploy.finished_at - deploy.created_at).total_seconds() if deploy.finished_at else None
        made.add_row(
            Text(deploy.id, no_wrap=True),
            f"{deploy.created_at:%Y-%m-%d %H:%M}",
            state_text(deploy.state, waits=deploy.waits_for_approval),
            str(len(deploy.versions)),
            duration(took) if took is not None else "",
            deploy.request.requested_by,
        )
    return made
