"""plan, deploy, status, history, show, events, cancel, wait, verify."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from agent.cli import exits
from agent.cli.ui import Ui, command

if TYPE_CHECKING:
    from agent.cli._service import Service
    from agent.cli.live import Follower
    from agent.core.models import Deploy, DeployRequest, Event
    from agent.report.models import DeployView

PANEL = "Deploys"
StrategyName = Literal["auto", "atomic", "per_migration", "statement"]
Strategy = Annotated[
    StrategyName | None,
    typer.Option(
        "--strategy", help="How to apply the files. Default: deploy.strategy of the settings.", show_default=False
    ),
]
Until = Annotated[str, typer.Option("--until", metavar="VERSION", help="Stop after this version.", show_default=False)]
IncludeAll = Annotated[
    bool, typer.Option("--include-all", help="Also apply files that are older than the last applied one.")
]
DeployId = Annotated[str, typer.Argument(metavar="DEPLOY", help="A deploy's id, or the beginning of it.")]
MaybeDeployId = Annotated[
    str, typer.Argument(metavar="[DEPLOY]", help="A deploy's id, or the beginning of it. Default: the last one.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for name, function in (
        ("plan", plan),
        ("deploy", deploy),
        ("status", status),
        ("history", history),
        ("show", show),
        ("events", events),
        ("cancel", cancel),
        ("wait", wait),
        ("verify", verify),
    ):
        command(app, name, rich_help_panel=PANEL)(function)


async def plan(ui: Ui, strategy: Strategy = None, until: Until = "", include_all: IncludeAll = False) -> None:
    """Show what a deploy would do now. Changes nothing.

    Exits with 6 when a deploy would be refused.
    """
    from agent.cli.render import lists
    from agent.report.plan_view import plan_view

    request = request_of(ui, strategy=strategy, until=until, include_all=include_all)
    async with ui.service() as agent:
        view = plan_view(await agent.plan(request))
    ui.document(view)
    ui.show(lists.plan(view))
    ui.exit_code = 0 if view.can_run else exits.REFUSED


async def deploy(
    ui: Ui,
    strategy: Strategy = None,
    until: Until = "",
    include_all: IncludeAll = False,
    fingerprint: Annotated[
        str,
        typer.Option(
            "--plan", metavar="FINGERPRINT", help="Refuse if the plan is not this one any more.", show_default=False
        ),
    ] = "",
) -> None:
    """Back up, apply the pending migrations, check; on failure bring the database back.

    Shows what happens while it happens; with --json one line an event, and at last the whole deploy.
    Ctrl-C cancels: the agent stops at a safe point and undoes what it did.
    """
    from agent.cli.live import follower
    from agent.cli.render.deploy import outcome
    from agent.core.states import EXIT_CODES

    request = request_of(ui, strategy=strategy, until=until, include_all=include_all, fingerprint=fingerprint)
    shown = follower(ui)
    async with ui.service() as agent:
        watch = _Canceller(ui, agent, shown)
        final = await agent.deploy(request, watch.event, watch.begin)
    view = shown.end(final)
    ui.show(outcome(view))
    ui.exit_code = EXIT_CODES[final.state]


class _Canceller:
    """Hands events on to the follower, and turns Ctrl-C and SIGTERM into a request to cancel."""

    def __init__(self, ui: Ui, agent: Service, shown: Follower) -> None:
        self._ui, self._agent, self._shown = ui, agent, shown
        self._deploy: Deploy | None = None
        self._waits = False  # for an approval
        self._asked: asyncio.Task[None] | None = None  # kept, or the loop would forget them
        self._looked: asyncio.Task[None] | None = None

    def begin(self, deploy: Deploy) -> None:
        """From now on an interrupt cancels this deploy; before, there was nothing to cancel."""
        if self._deploy is not None:
            self._shown.end(self._deploy)
        if deploy.request.requested_by != "cli" or deploy.state.value != "queued":
            self._shown.say(
                f"Deploy {deploy.id}, asked for by {deploy.request.requested_by}, is in state {deploy.state}; "
                "it is brought to its end first."
            )
        self._deploy = deploy
        self._ui.interrupts.listener = self._interrupted
        self._shown.begin(deploy)

    def event(self, event: Event) -> None:
        """Pass it on. With the first migration the plan stands, and the deploy knows its files."""
        self._shown.event(event)
        if event.kind.value == "approval":
            self._waits = event.data.get("answer") is None
        if event.data.get("to") == "migrate":
            self._looked = asyncio.get_running_loop().create_task(self._look(event.deploy_id))

    async def _look(self, deploy_id: str) -> None:
        from agent.errors import AgentError

        try:
            self._shown.update(await self._agent.get(deploy_id))
        except AgentError as error:
            self._shown.say(f"What is known of the deploy could not be read: {error.message} ({error.code})")

    def _interrupted(self, count: int) -> None:
        assert self._deploy is not None  # noqa: S101 - the listener is set with it
        if self._waits and self._ui.interrupts.task is not None:
            self._shown.say(
                f"Deploy {self._deploy.id} waits for an answer, also without this command: "
                f"deploy-agent approve {self._deploy.id} (or --reject) goes on with it."
            )
            self._ui.interrupts.task.cancel()
        elif count == 1:
            self._shown.say("Cancelling at the next safe point; what was done is undone. Please wait.")
            self._asked = asyncio.get_running_loop().create_task(self._cancel(self._deploy.id))
        else:
            self._shown.say(
                "Still bringing the database back; ending now would leave that to the next agent that starts here. "
                f"Another terminal can watch: deploy-agent events {self._deploy.id} --follow"
            )

    async def _cancel(self, deploy_id: str) -> None:
        from agent.errors import AgentError

        name = self._ui.interrupts.last.name
        reason = "Ctrl-C" if name == "SIGINT" else name
        try:
            await self._agent.cancel(deploy_id, reason)
        except AgentError as error:
            self._shown.say(f"The deploy could not be cancelled: {error.message} ({error.code})")


async def status(ui: Ui) -> None:
    """Show what is applied and pending, the last deploy and the last backup."""
    from agent.cli.render import lists
    from agent.errors import AgentError
    from agent.report.status_view import StatusView

    async with ui.service() as agent:
        known = await agent.deploys(2)
        views = [await _view(agent, each) for each in known]
        backups = await agent.backups()
        facts: dict[str, object] = {
            "project": ui.settings().project,
            "database": _database(ui),
            "last_backup": backups[0] if backups else None,
            "running": next((view for view in views if not view.is_final), None),
            "last": next((view for view in views if view.is_final), None),
        }
        try:
            found = await agent.plan(request_of(ui))
            facts["applied"], facts["last_applied"] = len(found.applied), max(found.applied, default="")
            facts["pending"] = tuple(script.migration.file for script in found.scripts)
        except AgentError as error:
            facts["problem"] = f"{error.message} ({error.code})"
            ui.exit_code = error.exit_code
    view = StatusView.model_validate(facts)
    ui.document(view)
    ui.show(lists.status(view))


def _database(ui: Ui) -> str:
    """`host:port/database`, without user and password."""
    from urllib.parse import urlsplit

    settings = ui.settings()
    if settings.deploy.via == "api":
        return f"project {settings.platform_ref}, over the Management API"
    if settings.database_url is None and settings.platform.login_role:
        return f"project {settings.platform_ref}, by its session pooler"
    parts = urlsplit(settings.require_database_url().get_secret_value())
    return f"{parts.hostname}:{parts.port or 5432}{parts.path}"


async def history(
    ui: Ui, limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="How many.")] = 20
) -> None:
    """List deploys, newest first."""
    from agent.cli.render import deploy as render

    async with ui.service() as agent:
        found = await agent.deploys(limit)
    ui.document({"deploys": [each.model_dump(mode="json") for each in found]})
    ui.show(render.history(found) if found else "No deploy yet.")


async def show(
    ui: Ui,
    deploy_id: MaybeDeployId = "",
    checks: Annotated[bool, typer.Option("--checks", help="Also list the checks that passed.")] = False,
) -> None:
    """Show one deploy: why it ended so, its timeline, and what to do next."""
    from agent.cli.render import deploy as render

    async with ui.service() as agent:
        view = await _view(agent, await _find(agent, deploy_id))
    ui.document(view)
    ui.show(render.story(view, all_checks=checks))


async def events(
    ui: Ui,
    deploy_id: MaybeDeployId = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the deploy ends.")] = False,
    after: Annotated[int, typer.Option("--after", min=0, help="Only events with a greater number.")] = 0,
) -> None:
    """Print a deploy's events, also while it runs elsewhere.

    With --json one line an event. With --follow the exit code is the deploy's. Ctrl-C stops looking, not the deploy.
    """
    from agent.cli.live import follower, lines
    from agent.cli.render.deploy import outcome
    from agent.core.states import EXIT_CODES

    async with ui.service() as agent:
        deploy = await _find(agent, deploy_id)
        if not follow:
            for event in await agent.events(deploy.id, after):
                if ui.as_json:
                    ui.line({"type": "event", **event.model_dump(mode="json")})
                ui.show(*lines(event))
            return
        shown = follower(ui)
        shown.begin(deploy)
        while True:
            deploy = await agent.get(deploy.id)
            shown.update(deploy)
            for event in await agent.events(deploy.id, after):
                shown.event(event)
                after = event.seq
            if deploy.is_final:
                break
            await asyncio.sleep(0.5)
    ui.show(outcome(shown.end(deploy)))
    ui.exit_code = EXIT_CODES[deploy.state]


async def cancel(
    ui: Ui,
    deploy_id: DeployId,
    reason: Annotated[
        str, typer.Option("--reason", help="Kept with the deploy and told to the channels.")
    ] = "cancelled from the command line",
) -> None:
    """Ask a deploy to stop at the next safe point and undo what it did."""
    async with ui.service() as agent:
        deploy = await agent.cancel(deploy_id, reason)
    ui.document(deploy)
    if deploy.is_final:
        ui.show(f"Deploy {deploy.id} had already ended: {deploy.state.value}.")
    else:
        ui.show(f"Asked deploy {deploy.id} to stop. Watch it with: deploy-agent events {deploy.id} --follow")


async def wait(
    ui: Ui,
    version: Annotated[
        str, typer.Argument(metavar="VERSION", help="A migration's version, or `latest`: the newest file.")
    ],
    timeout_s: Annotated[float, typer.Option("--timeout", min=0, metavar="SECONDS", help="0 looks once.")] = 300.0,
) -> None:
    """Wait until the database has a version; for init containers.

    Exits with 14 when the time is over.
    """
    if timeout_s:
        ui.remark(f"Waiting for {version}, at most {timeout_s:g} s.")
    async with ui.service() as agent:
        await agent.wait_for(version, timeout_s)
    ui.document({"version": version, "applied": True})
    ui.show("The database has the newest version." if version == "latest" else f"The database has {version}.")


async def verify(ui: Ui) -> None:
    """Run the runbook's final checks now. Changes nothing.

    Exits with 17 when one does not pass.
    """
    from agent.cli.render.deploy import checks_table
    from agent.core.models import Severity, Verdict
    from agent.core.units import count

    async with ui.service() as agent:
        results = await agent.verify(lambda _: None)
    bad = [each for each in results if each.verdict is not Verdict.PASSED and each.severity is Severity.ERROR]
    ui.document({"ok": not bad, "checks": [each.model_dump(mode="json") for each in results]})
    passed = sum(1 for each in results if each.verdict is Verdict.PASSED)
    if results:
        ui.show(checks_table(results), "", f"{passed} of {count(len(results), 'check')} passed.")
    else:
        ui.show("The runbook has no final checks, so nothing was checked.")
    ui.exit_code = exits.CHECKS_FAILED if bad else 0


def request_of(
    ui: Ui,
    *,
    strategy: StrategyName | None = None,
    until: str = "",
    include_all: bool = False,
    fingerprint: str = "",
) -> DeployRequest:
    """What the command line asks for; the settings say the rest."""
    from agent.core.models import DeployRequest, Strategy

    settings = ui.settings()
    return DeployRequest(
        project=settings.project,
        strategy=Strategy(strategy) if strategy else settings.deploy.strategy,
        plan_fingerprint=fingerprint,
        until=until,
        include_all=include_all,
        requested_by="cli",
    )


async def _find(agent: Service, deploy_id: str) -> Deploy:
    """By id; without one, the newest."""
    from agent.errors import NotFoundError

    if deploy_id:
        return await agent.get(deploy_id)
    newest = await agent.deploys(1)
    if not newest:
        raise NotFoundError(
            "there is no deploy yet", code="notfound.deploy", hint="Start one with `deploy-agent deploy`."
        )
    return newest[0]


async def _view(agent: Service, deploy: Deploy) -> DeployView:
    from agent.report.view import deploy_view

    return deploy_view(deploy, await agent.events(deploy.id))
