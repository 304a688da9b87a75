"""serve: the long-running agent."""

from __future__ import annotations

import typer

from agent.cli.ui import Ui, command


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "serve", rich_help_panel="Service")(serve)


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
