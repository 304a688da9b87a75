"""`deploy-agent`: the command line. This module imports nothing that is slow; the commands do, when they run."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from agent.cli import exits
from agent.cli.commands import (
    approvals,
    backups,
    deploys,
    diffs,
    projects,
    rehearsals,
    runbooks,
    salvages,
    services,
    support,
    tokens,
)

HELP = """Backs up, migrates, verifies and, when it must, restores a Supabase database.

Start with `deploy-agent init`, then `doctor`, `plan` and `deploy`. Every command takes --json.
"""

app = typer.Typer(
    name="deploy-agent",
    help=HELP,
    epilog=exits.epilog(),
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:  # noqa: FBT001 - Typer calls it so
    if wanted:
        from agent.build import full_version

        typer.echo(f"deploy-agent {full_version()}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and the commit.")
    ] = False,
) -> None:
    del version


for module in (projects, deploys, rehearsals, approvals, backups, salvages, diffs, runbooks, tokens, services, support):
    module.register(app)


def main() -> None:
    """The entry point. A character that the terminal cannot show becomes `?` instead of an error."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
    app()
