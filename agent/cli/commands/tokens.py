"""token new: who may call the HTTP API."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.cli.ui import Ui, command
from agent.core.access import Scope


def register(app: typer.Typer) -> None:
    """Add the commands."""
    group = typer.Typer(help="Tokens for the HTTP API.", no_args_is_help=True)
    command(group, "new")(new)
    app.add_typer(group, name="token", rich_help_panel="Service")


def new(
    ui: Ui,
    name: Annotated[str, typer.Option("--name", help="Who will use it; deploys say so.")] = "api",
    scope: Annotated[Scope, typer.Option("--scope", help="What it may do.")] = Scope.READ,
) -> None:
    """Make a token. It is shown here and nowhere else; the settings keep its hash.

    read: look at everything. operate: also ask for deploys and backups, approve, cancel.
    Reads and changes no settings.
    """
    import re
    import secrets

    from agent.core import patterns
    from agent.core.access import TOKEN_PREFIX, digest
    from agent.errors import InputError

    if not re.fullmatch(patterns.LABEL, name):
        raise InputError(f"--name {patterns.in_words(patterns.LABEL)}", code="input.name", where={"field": "--name"})
    token = TOKEN_PREFIX + secrets.token_urlsafe(32)
    known = f"sha256:{digest(token.encode()).hex()}"
    ui.document({"name": name, "scope": scope.value, "token": token, "hash": known})
    ui.show(
        token,
        "",
        "Give it to whoever calls, and keep it as a secret: nothing can show it again. In the settings:",
        "",
        "http:",
        "  tokens:",
        f"    - name: {name}",
        f"      scope: {scope.value}",
        f"      hash: {known}",
    )
