"""support-bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.ui import Ui, command

if TYPE_CHECKING:
    from agent.settings import Settings

Output = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Where to write it. Default: deploy-agent-support-<project>-<time>.tar.gz here.",
        show_default=False,
    ),
]
Log = Annotated[
    Path | None,
    typer.Option(
        "--log", metavar="FILE", help="A file with the agent's log: its last lines go along.", show_default=False
    ),
]
WithSql = Annotated[
    bool, typer.Option("--with-sql", help="Also the migrations' text, failed statements and the server's DETAIL.")
]
Deploys = Annotated[int, typer.Option("--deploys", min=0, max=100, help="The events of so many of the last deploys.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "support-bundle", rich_help_panel="Project")(support_bundle)


async def support_bundle(
    ui: Ui, output: Output = None, deploys: Deploys = 5, log: Log = None, with_sql: WithSql = False
) -> None:
    """Write what somebody who helps will ask for into one file, with secrets masked.

    Versions, settings, what doctor finds, the last deploys with their events, backups, migrations without their SQL,
    the server's settings. What cannot be read is told in its place, so it also works when nothing else does.
    """
    import time

    from agent.cli import bundle
    from agent.core.redaction import Redactor
    from agent.errors import AgentError

    parts: dict[str, object] = {"version.json": bundle.about()}
    if log is not None:
        parts["log.txt"] = bundle.log_tail(log)
    settings: Settings | None = None
    try:
        settings = ui.settings()
        parts["settings.json"] = settings.redacted()
        if found := bundle.crashes(settings.state_dir):
            parts["crashes.txt"] = found
        async with ui.service() as agent:
            parts |= await agent.support(deploys=deploys, with_sql=with_sql)
    except AgentError as error:
        parts["error.json"] = error.as_dict()
    name = f"deploy-agent-support-{settings.project if settings else 'unknown'}"
    path = output or Path(f"{name}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}.tar.gz")
    names = bundle.write(path, parts, Redactor(settings.secrets() if settings else ()))
    missing = sorted(key for key, one in parts.items() if isinstance(one, dict) and set(one) == {"error"})
    if "error.json" in parts:
        missing.append("error.json")
    ui.document({"file": str(path), "contents": names, "not_read": missing})
    ui.show(f"Wrote {path}. README.txt in it says what is there; look at it before you send it.")
    if missing:
        ui.show(f"Could not be read, and says why: {', '.join(missing)}")
