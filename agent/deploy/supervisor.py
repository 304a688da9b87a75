"""The long-running side of the agent: starts what is queued, adopts what was left, does what schedules ask for."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Protocol

from agent.core.models import BackupRecord, Deploy, DeployRequest, Event
from agent.deploy import service
from agent.deploy.backup import prune, verify_backup
from agent.deploy.deps import Deps
from agent.deploy.upkeep import ScratchDatabase
from agent.errors import BusyError

Report = Callable[[str, dict[str, object]], None]

STOPPING = "the agent is stopping"
"""Why a deploy is cancelled when its agent ends; the next agent's watch may try it again."""

_RETRY_CAP_S = 60.0  # between two workflows of one deploy
_LOOK_AGAIN_S = 1.0


class Workflows(Protocol):
    """The engine, as far as deploys are started."""

    async def start(self, deploy_id: str, *, attempt: int = 0) -> None:
        """Run a deploy in the background."""
        ...

    async def reap(self, deploy_ids: Collection[str]) -> list[str]:
        """Of these deploys, end the workflows of workers that died; returns the deploys that had one.

        Raises StoreError `engine.lock_lost`: others may take this worker for dead; it may begin nothing.
        """
        ...

    async def next_attempt(self, deploy_id: str) -> int | None:
        """The number of the workflow that a deploy needs; None: one waits or runs, here or elsewhere."""
        ...

    async def elsewhere(self, deploy_id: str) -> bool:
        """Whether the deploy's workflow is another worker's, living or dead, and has not ended."""
        ...

    async def ended(self, deploy_id: str) -> None:
        """Wait until its workflow has ended. Raises AgentError if it was broken off."""
        ...


class Supervisor:
    """Keeps the deploys of one project going.

    Args:
        deps: the ports.
        workflows: the engine.
        report: told what happened, for the log: a constant message and its fields.
        scratch: opens an empty Supabase-like database, to restore backups there.
    """

    def __init__(self, deps: Deps, workflows: Workflows, report: Report, *, scratch: ScratchDatabase) -> None:
        self._deps = deps
        self._workflows = workflows
        self._report = report
        self._scratch = scratch
        self._not_before: dict[str, datetime] = {}
        self._adopting = asyncio.Lock()
        self._backing_up = asyncio.Lock()

    async def adopt(self) -> list[str]:
        """Start every deploy that is not final and that no workflow runs, or only one of a worker that died.

        One whose workflow was broken off is started again at once, and after pauses that grow to a minute.

        Returns:
            The ids of all deploys that are not final, oldest first.

        Raises:
            StoreError: `engine.lock_lost`, `engine.failed`.
        """
        async with self._adopting:  # two at once would start a deploy twice
            return await self._adopt()

    async def _adopt(self) -> list[str]:
        deploys = await self._open_deploys()
        for deploy_id in await self._workflows.reap([deploy.id for deploy in deploys]):
            self._report("deploy of a dead agent taken over", {"deploy_id": deploy_id})
        now = self._deps.clock.now()
        for deploy in reversed(deploys):
            if now < self._not_before.get(deploy.id, now):
                continue
            attempt = await self._workflows.next_attempt(deploy.id)
            if attempt is not None:
                self._report("deploy started", {"deploy_id": deploy.id, "attempt": attempt})
                await self._workflows.start(deploy.id, attempt=attempt)
                pause = min(2.0**attempt - 1, _RETRY_CAP_S)
                self._not_before[deploy.id] = now + timedelta(seconds=pause)
        self._not_before = {one.id: self._not_before[one.id] for one in deploys if one.id in self._not_before}
        return [deploy.id for deploy in reversed(deploys)]

    async def follow(self, deploy_id: str, on_event: Callable[[Event], None]) -> Deploy:
        """Hand over a deploy's events as they come, until it has ended, here or in another agent.

        If that agent dies meanwhile, the deploy goes on here.

        Raises:
            AgentError: its workflow was broken off; the deploy is not final, and the next agent goes on with it.
        """
        ending = asyncio.create_task(self._ended(deploy_id))
        following = asyncio.create_task(service.follow(self._deps, deploy_id, on_event, ending=ending))
        try:
            await asyncio.wait((following, ending), return_when=asyncio.FIRST_COMPLETED)
            if ending.done() or not await self._workflows.elsewhere(deploy_id):
                await ending
            return await following
        finally:
            following.cancel()
            ending.cancel()
            await asyncio.gather(following, ending, return_exceptions=True)

    async def _ended(self, deploy_id: str) -> None:
        while await self._workflows.elsewhere(deploy_id):
            await self._deps.clock.sleep(_LOOK_AGAIN_S)
            await self.adopt()
        await self._workflows.ended(deploy_id)

    async def backup(self) -> BackupRecord:
        """Take a backup now. Its progress is nobody's; its outcome is reported.

        Raises:
            BusyError: `busy.deploying`: a deploy is running, which has its own backup, and whose migrations would
                wait for this one's locks; `busy.backup`: another backup is being taken.
        """
        await service.no_deploy_runs(self._deps)
        if self._backing_up.locked():
            raise BusyError(
                "a backup is being taken already",
                code="busy.backup",
                hint="Wait until `deploy-agent backup list` shows it.",
            )
        async with self._backing_up:
            record = await service.backup(self._deps, lambda _: None)
        self._report("backup taken", {"backup_id": record.id, "bytes": record.bytes})
        return record

    async def backup_when_quiet(self) -> None:
        """Take a backup as soon as no deploy runs; raises as `backup`."""
        while await self._open_deploys():
            await self._deps.clock.sleep(_LOOK_AGAIN_S)
        await self.backup()

    async def prune(self) -> None:
        """Remove what the retention rules let go."""
        gone = await prune(
            target=self._deps.target,
            objects=self._deps.objects,
            store=self._deps.store,
            clock=self._deps.clock,
            project=self._deps.options.project,
            options=self._deps.backup,
        )
        self._report("backups pruned", {"backup_ids": [one.id for one in gone]})

    async def verify_last(self) -> None:
        """Restore the newest backup on a scratch database; nothing to do while there is none."""
        records = await self._deps.store.backups(project=self._deps.options.project)
        if not records:
            return
        record = await verify_backup(
            tools=self._deps.tools,
            objects=self._deps.objects,
            store=self._deps.store,
            clock=self._deps.clock,
            backup=records[0],
            options=self._deps.backup,
            scratch=self._scratch,
        )
        self._report("backup verified", {"backup_id": record.id, "state": str(record.state)})

    async def stop(self) -> list[str]:
        """Ask every deploy that runs here to stop at its next safe point; returns their ids.

        One that runs in another agent goes on there. One that waits for approval is left to the next agent: nothing
        happens in the database meanwhile.
        """
        deploys = [
            one
            for one in await self._open_deploys()
            if not one.waits_for_approval and not await self._workflows.elsewhere(one.id)
        ]
        for deploy in deploys:
            await self._deps.store.request_cancel(deploy.id, reason=STOPPING, now=self._deps.clock.now())
        return [deploy.id for deploy in deploys]

    async def stopped(self, deploy_id: str) -> None:
        """Wait until a deploy that `stop` named is final and its workflow has said so.

        Raises:
            AgentError: the workflow was broken off after its deploy had ended.
        """
        await service.follow(self._deps, deploy_id, lambda _: None)
        if await self._workflows.next_attempt(deploy_id) is None:
            await self._workflows.ended(deploy_id)

    async def _open_deploys(self) -> list[Deploy]:
        return await self._deps.store.deploys(project=self._deps.options.project, states=service.OPEN_STATES)


async def queue(deps: Deps, request: DeployRequest) -> Deploy:
    """Record a deploy for whoever runs the engine.

    Raises:
        BusyError: `busy.deploying`: another one is not final yet; it says which, whose, and how far it is.
    """
    suffix = "".join(secrets.choice("23456789abcdefghjkmnpqrstuvwxyz") for _ in range(4))
    now = deps.clock.now()
    try:
        return await deps.store.create(service.deploy_id(now, suffix), request, now=now)
    except BusyError:
        await service.no_deploy_runs(deps)
        raise  # it has just ended
