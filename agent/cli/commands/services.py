"""serve: the long-running agent. health: whether one answers. demo: the agent at work, without a project."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.cli import exits
from agent.cli.ui import Ui, command

Ready = Annotated[bool, typer.Option("--ready", help="Ask /readyz, whether it can deploy now; otherwise /livez.")]
Rows = Annotated[int, typer.Option("--rows", min=1, max=1_000_000, help="Audio posts in each of the two databases.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "serve", rich_help_panel="Service")(serve)
    command(app, "health", rich_help_panel="Service")(health)
    command(app, "demo", rich_help_panel="Service")(demo)


async def serve(ui: Ui) -> None:
    """Run as a service, until SIGTERM or Ctrl-C.

    HTTP, the watch on the migrations folder, schedules, and deploys that others ask for.
    Logs go to stderr. A running deploy comes to a safe end first.
    """
    import logging

    live = ui.live()
    from agent import __version__
    from agent.build import commit
    from agent.serve import serve as run

    fields = {"version": __version__, "commit": commit(), "settings": live.now().redacted()}
    logging.getLogger("agent").info("starting", extra=fields)
    await run(live)


def health(ui: Ui, ready: Ready = False) -> None:
    """Ask the agent that runs here with the same settings whether it lives; for a container's health check.

    Exits with 0, or with 20 if there is no answer within 5 s, or it is not alive, or with --ready not ready.
    """
    from agent.edges.own_probe import ask

    http = ui.settings().http
    ask("/readyz" if ready else "/livez", host=http.host, port=http.port)
    word = "ready" if ready else "alive"
    if ui.as_json:
        ui.line({word: True})
    else:
        typer.echo(word)  # Rich would take longer to load than all of this


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
