"""What the commands need of the agent; `agent.local_agent.Agent` fills it, tests fill it with a script."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from pydantic import SecretStr

    from agent.core.aside import Aside
    from agent.core.backups import Manifest
    from agent.core.catalog import CatalogDiff
    from agent.core.models import BackupRecord, CheckResult, Deploy, DeployRequest, Event, Finding, NewEvent
    from agent.core.planning import Plan
    from agent.core.rehearsal import Rehearsal
    from agent.core.salvage import Applied, Salvage, Wishes
    from agent.deploy.rehearsal import BranchWish, Hearing
    from agent.settings import Settings


class Salvages(Protocol):
    """Rows that were kept before restores; `agent.deploy.salvage_service.Salvages` fills it."""

    async def all(self) -> list[Salvage]:
        """Newest first."""
        ...

    async def waiting(self) -> set[str]:
        """Ids of the backups that stay because of a salvage."""
        ...

    async def show(self, name: str, *, rows: int = 0) -> tuple[Salvage, dict[str, list[dict[str, str | None]]]]:
        """A salvage, and the first rows of each of its tables."""
        ...

    async def apply(self, name: str, wishes: Wishes) -> tuple[Salvage, Sequence[Applied]]:
        """Put it back."""
        ...

    async def dismiss(self, name: str) -> Salvage:
        """Nobody wants it any more."""
        ...


class Service(Protocol):
    """The agent, as the command line has it. Everything may raise AgentError."""

    async def plan(self, request: DeployRequest) -> Plan:
        """What a deploy would do now; changes nothing."""
        ...

    async def deploy(
        self, request: DeployRequest, on_event: Callable[[Event], None], on_start: Callable[[Deploy], None]
    ) -> Deploy:
        """Deploy, and follow it to its end; `on_start` hears of each deploy before its events."""
        ...

    async def rehearse(
        self, request: DeployRequest, wish: BranchWish, hearing: Hearing
    ) -> tuple[Rehearsal, Deploy | None]:
        """Apply what is pending on a branch of the project, and delete the branch."""
        ...

    async def deploys(self, limit: int = 50) -> list[Deploy]:
        """Newest first."""
        ...

    async def get(self, deploy_id: str) -> Deploy:
        """By id or an unambiguous beginning of it."""
        ...

    async def events(self, deploy_id: str, after: int = 0) -> list[Event]:
        """All events after a number."""
        ...

    async def cancel(self, deploy_id: str, reason: str) -> Deploy:
        """Raise the cancel flag."""
        ...

    async def approve(
        self, deploy_id: str, number: int, *, approve: bool, remark: str, on_event: Callable[[Event], None]
    ) -> Deploy:
        """Answer what a deploy has asked; where no other process runs it, it goes on here, to its end.

        Args:
            number: of the question that was shown.
        """
        ...

    async def doctor(self) -> list[Finding]:
        """Look at everything a deploy needs; severity `info` is what is in order."""
        ...

    async def support(self, *, deploys: int, with_sql: bool) -> dict[str, Any]:
        """What somebody who helps needs to know, by file names; see `agent.deploy.support`."""
        ...

    async def backup(self, on_event: Callable[[NewEvent], None]) -> BackupRecord:
        """Take a backup now."""
        ...

    async def backups(self) -> list[BackupRecord]:
        """Newest first."""
        ...

    async def backup_manifest(self, backup_id: str) -> Manifest:
        """What is in a backup."""
        ...

    async def diff(self, backup_id: str) -> tuple[BackupRecord, CatalogDiff]:
        """What of the catalog is not as a backup has it, and which backup that is; "": the last one."""
        ...

    async def verify_backup(self, backup_id: str, *, restore: bool = False) -> BackupRecord:
        """Read a backup again; with `restore` also into a scratch database."""
        ...

    async def prune(self, *, dry_run: bool = False) -> list[BackupRecord]:
        """Remove what the retention rules let go; returns those."""
        ...

    async def restore(self, backup_id: str, on_event: Callable[[NewEvent], None]) -> BackupRecord:
        """Bring the application's schemas back to a backup, in place; returns the safety backup taken first."""
        ...

    async def restore_to(
        self,
        backup_id: str,
        url: SecretStr,
        *,
        overwrite: bool,
        jobs: int | None,
        on_event: Callable[[NewEvent], None],
    ) -> Aside:
        """Restore a backup into another database, and compare it there."""
        ...

    @property
    def salvages(self) -> Salvages:
        """What was kept before restores."""
        ...

    async def verify(self, on_event: Callable[[NewEvent], None]) -> list[CheckResult]:
        """Run the runbook's final checks now."""
        ...

    async def applied_versions(self) -> list[str]:
        """The versions that the database has."""
        ...

    async def wait_for(self, version: str, timeout_s: float) -> None:
        """Return when the database has a version."""
        ...


def open_service(settings: Settings) -> AbstractAsyncContextManager[Service]:
    """The real agent. Tests put another function in its place."""
    from agent.local_agent import open_agent

    return open_agent(settings)
