"""The agent as a person at the command line has it: one command, in this process."""

from __future__ import annotations

import asyncio
import getpass
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from agent.bootstrap import (
    connectors,
    open_branch,
    open_deps,
    outbox,
    report,
    report_error,
    running_engine,
    scratch_database,
    volume_mark,
)
from agent.core.aside import Aside
from agent.core.backups import Manifest
from agent.core.catalog import CatalogDiff
from agent.core.models import (
    BackupRecord,
    CheckResult,
    Deploy,
    DeployRequest,
    Event,
    EventKind,
    Finding,
    NewEvent,
    Severity,
)
from agent.core.planning import Plan
from agent.deploy import service
from agent.deploy.backup import load_manifest, prune, verify_backup
from agent.deploy.deps import Deps
from agent.deploy.drift import diff_with_backup
from agent.deploy.events import read_events
from agent.deploy.salvage_service import Salvages
from agent.deploy.supervisor import Supervisor, queue
from agent.deploy.support import Wish, collect
from agent.edges.store_schema import VERSION as STORE_VERSION
from agent.edges.volume import lock_volume
from agent.errors import AgentError, BusyError
from agent.settings import Settings

if TYPE_CHECKING:
    from agent.core.rehearsal import Rehearsal
    from agent.deploy.rehearsal import BranchWish, Hearing


class Agent:
    """What a command can ask of the agent; fills `agent.cli._service.Service`. See `open_agent`."""

    def __init__(self, settings: Settings, deps: Deps) -> None:
        self._settings = settings
        self._deps = deps
        self._one_at_a_time = asyncio.Lock()

    async def plan(self, request: DeployRequest) -> Plan:
        """What a deploy would do now; changes nothing."""
        return await service.plan(self._deps, request)

    async def deploy(
        self,
        request: DeployRequest,
        on_event: Callable[[Event], None],
        on_start: Callable[[Deploy], None] = lambda _: None,
    ) -> Deploy:
        """Deploy, and follow it to its end.

        Where another process runs the engine on this volume (`serve`), the deploy is handed to it.

        Args:
            on_event: hears each event, in order.
            on_start: hears of each deploy before its events: first of one that a killed agent left behind, which
                is brought to its end before the new one starts.

        Raises:
            BusyError: `busy.deploying`: another deploy of the project is running.
        """
        async with AsyncExitStack() as stack:
            supervisor = await self._engine(stack)
            heard = await stack.enter_async_context(self._telling(on_event))
            if supervisor is not None:
                for left in await supervisor.adopt():
                    on_start(await self._deps.store.get(left))
                    await supervisor.follow(left, heard)
            queued = await queue(self._deps, request)
            on_start(queued)
            if supervisor is None:
                return await service.follow(self._deps, queued.id, on_event)
            await supervisor.adopt()
            final = await supervisor.follow(queued.id, heard)
            await self._deliver()
            return final

    async def rehearse(
        self, request: DeployRequest, wish: BranchWish, hearing: Hearing
    ) -> tuple[Rehearsal, Deploy | None]:
        """Apply what is pending on a branch of the project, and delete the branch; see `agent.deploy.rehearsal`.

        Raises:
            BusyError: `busy.volume`: another rehearsal runs on this volume.
        """
        from agent.deploy.rehearsal import rehearse  # noqa: PLC0415 - only a rehearsal needs it

        home = self._settings.state_dir / "rehearsal"
        with lock_volume(home):
            for left in home.glob("run-*"):
                shutil.rmtree(left)
            with tempfile.TemporaryDirectory(prefix="run-", dir=home) as folder:  # mode 0700
                return await rehearse(
                    self._deps,
                    request,
                    wish,
                    mark=volume_mark(self._settings),
                    open_branch=lambda detail: open_branch(self._settings, detail, Path(folder)),
                    hearing=hearing,
                )

    async def _engine(self, stack: AsyncExitStack) -> Supervisor | None:
        """The engine in this process, or None if another process has it."""
        try:
            return await stack.enter_async_context(running_engine(self._settings, self._deps))
        except BusyError as error:
            if error.code != "busy.volume":
                raise
            return None

    async def _deliver(self) -> None:
        """Tell the channels what they have not heard yet; what cannot be told now is told by the next agent."""
        async with self._one_at_a_time, outbox(self._settings, self._deps) as box:
            late = await box.drain(10.0)
        if late:
            report("notifications left for later", {"targets": list(late)})

    async def deploys(self, limit: int = 50) -> list[Deploy]:
        """Newest first."""
        return await self._deps.store.deploys(project=self._settings.project, limit=limit)

    async def get(self, deploy_id: str) -> Deploy:
        """By id or an unambiguous beginning of it. Raises NotFoundError."""
        return await self._deps.store.get(deploy_id)

    async def events(self, deploy_id: str, after: int = 0) -> list[Event]:
        """All events after a number."""
        return await read_events(self._deps.store, deploy_id, after=after)

    async def cancel(self, deploy_id: str, reason: str) -> Deploy:
        """Raise the cancel flag; whoever runs the deploy stops at the next safe point."""
        deploy = await self._deps.store.get(deploy_id)
        return await self._deps.store.request_cancel(deploy.id, reason=reason, now=self._deps.clock.now())

    async def approve(
        self, deploy_id: str, number: int, *, approve: bool, remark: str, on_event: Callable[[Event], None]
    ) -> Deploy:
        """Answer what a deploy has asked. Where no other process runs it, it goes on here, to its end.

        Raises:
            NotFoundError: `notfound.approval`: it asks nothing, or something else.
        """
        answered = await self._deps.store.answer_approval(
            deploy_id, number=number, approve=approve, by=_person(), remark=remark, now=self._deps.clock.now()
        )
        async with AsyncExitStack() as stack:
            supervisor = await self._engine(stack)
            if supervisor is None or answered.id not in await supervisor.adopt():
                return answered
            heard = await stack.enter_async_context(self._telling(on_event))
            final = await supervisor.follow(answered.id, heard)
            await self._deliver()
            return final

    @asynccontextmanager
    async def _telling(self, on_event: Callable[[Event], None]) -> AsyncIterator[Callable[[Event], None]]:
        """Hands events on, and tells the channels at once when people are asked: the deploy waits for them.

        What is still on its way at the end is cut off; the next agent tells it.
        """
        deliveries: list[asyncio.Task[None]] = []

        async def deliver() -> None:
            try:
                await self._deliver()
            except AgentError as error:
                report_error(error)

        def heard(event: Event) -> None:
            on_event(event)
            if event.kind is EventKind.APPROVAL and event.data.get("answer") is None:
                deliveries.append(asyncio.create_task(deliver()))

        try:
            yield heard
        finally:
            for one in deliveries:
                one.cancel()
            for ended in await asyncio.gather(*deliveries, return_exceptions=True):
                if isinstance(ended, Exception):
                    raise ended

    async def doctor(self) -> list[Finding]:
        """Look at everything a deploy needs; severity `info` is what is in order."""
        store = Finding(
            code="doctor.store",
            severity=Severity.INFO,
            message=f"the agent's store answers ({self._settings.state_dir})",
        )
        return await service.doctor(self._deps, [store])

    async def support(self, *, deploys: int, with_sql: bool) -> dict[str, Any]:
        """What somebody who helps needs to know, by file names; see `agent.deploy.support`."""
        files = {one.name: one.stat().st_size for one in sorted(self._settings.state_dir.glob("*.db*"))}
        store = {"schema_version": STORE_VERSION, "files": files}
        return {"store.json": store, **await collect(self._deps, Wish(deploys=deploys, with_sql=with_sql))}

    async def backup(self, on_event: Callable[[NewEvent], None] = lambda _: None) -> BackupRecord:
        """Take a backup now."""
        return await service.backup(self._deps, on_event)

    async def backups(self) -> list[BackupRecord]:
        """Newest first."""
        return await self._deps.store.backups(project=self._settings.project)

    async def backup_manifest(self, backup_id: str) -> Manifest:
        """What is in a backup. Raises NotFoundError, BackupError."""
        record = await service.find_backup(self._deps, backup_id)
        return await load_manifest(self._deps.objects, record)

    async def diff(self, backup_id: str) -> tuple[BackupRecord, CatalogDiff]:
        """What of the catalog is not as a backup has it. Raises NotFoundError, BackupError, TargetError."""
        record = await service.find_backup(self._deps, backup_id or await service.last_backup(self._deps))
        return record, await diff_with_backup(self._deps, record)

    async def verify_backup(self, backup_id: str, *, restore: bool = False) -> BackupRecord:
        """Read a backup again: checksums and listing; with `restore` also into a scratch database."""
        return await verify_backup(
            tools=self._deps.tools,
            objects=self._deps.objects,
            store=self._deps.store,
            clock=self._deps.clock,
            backup=await service.find_backup(self._deps, backup_id),
            options=self._deps.backup,
            scratch=scratch_database if restore else None,
        )

    async def prune(self, *, dry_run: bool = False) -> list[BackupRecord]:
        """Remove what the retention rules let go; returns those."""
        return await prune(
            target=self._deps.target,
            objects=self._deps.objects,
            store=self._deps.store,
            clock=self._deps.clock,
            project=self._settings.project,
            options=self._deps.backup,
            dry_run=dry_run,
        )

    async def restore(self, backup_id: str, on_event: Callable[[NewEvent], None]) -> BackupRecord:
        """Bring the application's schemas back to a backup, in place; returns the safety backup taken first."""
        async with AsyncExitStack() as stack:
            await self._engine(stack)
            return await service.restore(self._deps, backup_id, on_event)

    async def restore_to(
        self,
        backup_id: str,
        url: SecretStr,
        *,
        overwrite: bool,
        jobs: int | None,
        on_event: Callable[[NewEvent], None],
    ) -> Aside:
        """Restore a backup into another database, and compare it there; `jobs`: None takes `backup.jobs`."""
        target, tools = connectors(self._settings, lambda: url)
        return await service.restore_to(
            self._deps,
            backup_id,
            target=target,
            tools=tools,
            overwrite=overwrite,
            jobs=jobs or self._settings.backup.jobs,
            emit=on_event,
        )

    @property
    def salvages(self) -> Salvages:
        """What was kept before restores."""
        return Salvages(self._deps)

    async def verify(self, on_event: Callable[[NewEvent], None]) -> list[CheckResult]:
        """Run the runbook's final checks now."""
        return await service.verify(self._deps, on_event)

    async def applied_versions(self) -> list[str]:
        """The versions that the database has."""
        return await service.applied_versions(self._deps)

    async def wait_for(self, version: str, timeout_s: float) -> None:
        """Return when the database has a version (or `latest`). Raises WaitTimeoutError."""
        await service.wait_for(self._deps, version, timeout_s=timeout_s)


def _person() -> str:
    """Who sits at the command line, as far as the system says."""
    with suppress(OSError, KeyError):  # a container's user may have no name
        return f"{getpass.getuser()} (cli)"
    return "cli"


@asynccontextmanager
async def open_agent(settings: Settings) -> AsyncIterator[Agent]:
    """The agent for one command. The engine is started only by what needs it."""
    async with open_deps(settings) as deps:
        yield Agent(settings, deps)
