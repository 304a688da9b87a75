"""serve: the long-running agent. demo: the agent at work, without a project."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.cli import exits
from agent.cli.ui import Ui, command

Rows = Annotated[int, typer.Option("--rows", min=1, max=1_000_000, help="Audio posts in each of the two databases.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "serve", rich_help_panel="Service")(serve)
    command(app, "demo", rich_help_panel="Service")(demo)


async def serve(ui: Ui) -> None:
    """Run as a service, until SIGTERM or Ctrl-C.

    HTTP, the watch on the migrations folder, schedules, and deploys that others ask for.
    Logs go to stderr. A running deploy comes to a safe end first.
    """
    import logging

    live = ui.live()
    from agent import __version__
    from agent.serve import serve as run

    fields = {"version": __version__, "settings": live.now().redacted()}
    logging.getLogger("agent").info("starting", extra=fields)
    await run(live)


async def demo(ui: Ui, rows: Rows = 2500) -> None:
    """Show the agent at work: two real deploys on an embedded Postgres.

    One succeeds, one fails half-way and is restored; the restored database is compared with what it was.
    Needs no settings and no database, only the extra `embedded`. Leaves nothing behind.
    """
    ui.log_without_settings()
    from agent.cli.demo import Stage
    from agent.demo import run_demo

    good = await run_demo(Stage(ui), rows=rows)
    ui.exit_code = 0 if good else exits.BUG
