"""rehearse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.commands.deploys import PANEL, IncludeAll, Strategy, Until, request_of
from agent.cli.ui import Ui, command

if TYPE_CHECKING:
    from agent.core.models import Deploy


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "rehearse", rich_help_panel=PANEL)(rehearse)


async def rehearse(
    ui: Ui,
    *,
    strategy: Strategy = None,
    until: Until = "",
    include_all: IncludeAll = False,
    with_data: Annotated[bool, typer.Option("--with-data", help="With a copy of the project's rows.")] = False,
    size: Annotated[
        str, typer.Option("--size", help="The branch's compute size, such as `small`.", show_default=False)
    ] = "",
    ready_within: Annotated[
        int,
        typer.Option("--ready-within", min=1, max=120, help="How many minutes the branch may take until it is ready."),
    ] = 15,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask; the branch costs money.")] = False,
) -> None:
    """Apply the pending migrations on a branch of the project first, and delete the branch.

    The branch is made for it through the Management API, and costs money while it is there. The agent does on it what
    a deploy does: plan, backup, migrations, checks, and on failure the restore. The project itself is not touched.
    The branch is deleted whatever happens; one that a killed rehearsal has left, by the next one. Nothing is merged.

    Exits as a deploy does.
    """
    from agent.cli.live import follower
    from agent.cli.render.deploy import outcome
    from agent.core.rehearsal import COST, caveats
    from agent.core.states import EXIT_CODES
    from agent.deploy.rehearsal import BranchWish, Hearing

    request = request_of(ui, strategy=strategy, until=until, include_all=include_all)
    ui.remark(COST)
    ui.confirm("Make a branch and rehearse on it?", yes=yes)
    for one in caveats(with_data=with_data):
        ui.remark(one)
    shown = follower(ui)
    begun: list[Deploy] = []

    def begin(deploy: Deploy) -> None:
        begun.append(deploy)
        shown.begin(deploy)

    wish = BranchWish(with_data=with_data, instance_size=size, ready_s=ready_within * 60)
    async with ui.service() as agent:
        try:
            result, deploy = await agent.rehearse(
                request, wish, Hearing(tell=shown.say, begun=begin, event=shown.event)
            )
        except BaseException:
            if begun:
                shown.end(begun[0])  # gives the terminal back
            raise
    if deploy is None:
        ui.show("Nothing is pending: there is nothing to rehearse, and no branch was made.")
    else:
        view = shown.end(deploy)
        ui.show(
            f"This was a rehearsal on the branch {result.branch}, ready after {result.ready_s:.0f} s and deleted after "
            f"{result.total_s:.0f} s, its backup with it. The project itself was not touched. On the branch:",
            outcome(view),
        )
        ui.exit_code = EXIT_CODES[deploy.state]
    if ui.as_json:
        ui.line({"type": "rehearsal", **result.model_dump(mode="json")})
