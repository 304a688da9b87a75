"""approve."""

from __future__ import annotations

from typing import Annotated

import typer

from agent.cli.ui import Ui, command

DeployId = Annotated[str, typer.Argument(metavar="DEPLOY", help="A deploy's id, or the beginning of it.")]


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "approve", rich_help_panel="Deploys")(approve)


async def approve(
    ui: Ui,
    deploy_id: DeployId,
    reject: Annotated[bool, typer.Option("--reject", help="Say no: the database is left as it is, to people.")] = False,
    remark: Annotated[str, typer.Option("--remark", help="Kept with the answer and told to the channels.")] = "",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Answer a deploy that waits for approval: let it restore, or not.

    Shows what the restore would undo, reload, keep and lose, and how long it would take; then asks.
    Where no agent runs the deploy, it goes on here, and the exit code is the deploy's.
    Exits with 12 when the deploy asks nothing.
    """
    from agent.cli.live import lines
    from agent.cli.render.deploy import outcome, proposal
    from agent.core.states import EXIT_CODES
    from agent.errors import NotFoundError
    from agent.report.view import deploy_view

    async with ui.service() as agent:
        deploy = await agent.get(deploy_id)
        asked = deploy.approval
        if asked is None:
            raise NotFoundError(
                f"deploy {deploy.id} is {deploy.state} and has asked nothing",
                code="notfound.approval",
                hint=f"See `deploy-agent show {deploy.id}`.",
            )
        ui.show(proposal(asked), "")
        ui.confirm("Leave the database to people?" if reject else "Restore?", yes=yes)
        deploy = await agent.approve(
            deploy.id,
            asked.number,
            approve=not reject,
            remark=remark,
            on_event=lambda event: ui.show(*lines(event)) if event.at >= asked.asked_at else None,
        )
        view = deploy_view(deploy, await agent.events(deploy.id))
    ui.document(deploy)
    if deploy.is_final:
        ui.show(outcome(view))
        ui.exit_code = EXIT_CODES[deploy.state]
    else:
        ui.show(
            f"{'Rejected' if reject else 'Approved'}. Watch the deploy with: deploy-agent events {deploy.id} --follow"
        )
