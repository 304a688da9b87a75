"""serve: the long-running agent; demo."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.cli.ui import Ui, command


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "serve", rich_help_panel="Service")(serve)
    command(app, "demo", rich_help_panel="Service")(demo)


async def serve(ui: Ui) -> None:
    """Run as a service, until SIGTERM or Ctrl-C.

    HTTP, the watch on the migrations folder, schedules, and deploys that others ask for.
    Logs go to stderr. A running deploy comes to a safe end first.
    """
    import structlog

    settings = ui.settings(log_as_service=True)
    from agent import __version__
    from agent.serve import serve as run

    structlog.get_logger("agent").info("starting", version=__version__, settings=settings.redacted())
    await run(settings)


async def demo(
    ui: Ui,
    rows: Annotated[int, typer.Option("--rows", min=100, help="Audio posts in each of the two databases.")] = 2500,
) -> None:
    """Two real deploys on an embedded Postgres: one that succeeds, one that is restored.

    Needs nothing but the extra `embedded`. Cleans up after itself.
    """
    from agent.cli.demo import Stage
    from agent.demo import run_demo

    ui.exit_code = 0 if await run_demo(Stage(ui), rows=rows) else 1
