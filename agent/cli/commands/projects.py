"""init and doctor: from an existing project to a first deploy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from agent.cli import exits
from agent.cli.ui import Ui, command

if TYPE_CHECKING:
    from agent.core.models import Finding

PANEL = "Project"


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "init", rich_help_panel=PANEL)(init)
    command(app, "doctor", rich_help_panel=PANEL)(doctor)


def init(ui: Ui) -> None:
    """Write deploy-agent.yaml and a first runbook from what is in this folder. Overwrites nothing."""
    from agent.cli.scaffold import scaffold

    made = scaffold(ui.config)
    ui.document({"written": made.written, "kept": made.kept, "migrations": made.migrations})
    for path in made.written:
        ui.show(f"wrote  {path}")
    for path in made.kept:
        ui.show(f"kept   {path} (it was there already)")
    ui.show("", *made.remarks)


async def doctor(ui: Ui) -> None:
    """Look at everything a deploy needs, and say what is missing.

    Settings, store, migrations, runbook, database, tools, backup target. Exits with 6 when a deploy would be stopped.
    """
    from agent.cli.render.blocks import finding_rows, findings_summary
    from agent.core.models import Severity
    from agent.core.preflight import finding_of
    from agent.errors import AgentError
    from agent.report.models import Level

    findings: list[Finding] = []
    try:
        settings = ui.settings()
        findings.append(_good("doctor.settings", f"settings are valid; project {settings.project}"))
        async with ui.service() as agent:
            findings += await agent.doctor()
    except AgentError as error:
        findings.append(finding_of(error))
    ok = not any(each.severity is Severity.ERROR for each in findings)
    ui.document({"ok": ok, "findings": [each.model_dump(mode="json") for each in findings]})
    ui.show(finding_rows(findings, ok_level=Level.GOOD), "", findings_summary(findings))
    ui.exit_code = 0 if ok else exits.REFUSED


def _good(code: str, message: str) -> Finding:
    from agent.core.models import Finding, Severity

    return Finding(code=code, severity=Severity.INFO, message=message)
