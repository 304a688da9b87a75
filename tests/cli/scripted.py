"""An agent that answers from a script: for tests of what the command line shows, not of what the agent does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from pydantic import SecretStr

from agent.core.aside import Aside
from agent.core.backups import Manifest, StoredFile
from agent.core.catalog import CatalogDiff
from agent.core.migrations import read_folder
from agent.core.models import (
    BackupRecord,
    BackupState,
    CheckResult,
    Deploy,
    DeployRequest,
    Event,
    EventKind,
    Finding,
    NewEvent,
    Severity,
    Strategy,
    Verdict,
)
from agent.core.planning import HistoryRow, Plan, build_plan
from agent.core.salvage import Salvage
from agent.core.states import State
from agent.errors import AgentError, NotFoundError, WaitTimeoutError
from tests.support import stories
from tests.support.stories import START, Storyteller

FILES = {
    "20250122000000_add_track_types.sql": b"CREATE TYPE track_type AS ENUM ('song', 'loop');",
    "20250122000002_migrate_audio_posts.sql": b"INSERT INTO tracks SELECT * FROM posts;\nSELECT 1;",
    "20250122000003_cleanup.sql": b"DROP TABLE audio_posts;",
}
RECORD = BackupRecord(
    id="20260301T020003Z-tracks-posts",
    project="tracks-posts",
    created_at=START,
    location="file:///backups/tracks-posts/20260301T020003Z-tracks-posts",
    state=BackupState.VERIFIED,
    bytes=9_800_000,
    deploy_id="01JQ7DEPLOY",
    verified_at=START + timedelta(hours=3),
)
OLDER = RECORD.model_copy(
    update={
        "id": "20260228T020000Z-tracks-posts",
        "created_at": START - timedelta(days=1),
        "state": BackupState.PUBLISHED,
        "verified_at": None,
        "deploy_id": "",
    }
)
MANIFEST = Manifest(
    id=RECORD.id,
    project="tracks-posts",
    target="db.example.com:5432/postgres",
    created_at=START,
    finished_at=START + timedelta(seconds=6),
    agent_version="0.1.0",
    tool_version="17.10",
    server_version="17.10",
    lsn="0/1A2B3C4",
    snapshot_id="00000003-1",
    schemas=("public",),
    all_schemas=("public", "auth"),
    values={"audio_posts": 10_000},
    rows={"public.posts": 100_000, "public.tracks": 20_400},
    files=(StoredFile(name="application/toc.dat", bytes=9_800_000, sha256="0" * 64),),
)


def a_plan(*, history: tuple[HistoryRow, ...] = (), files: dict[str, bytes] | None = None) -> Plan:
    return build_plan(
        project="tracks-posts",
        folder=read_folder(FILES if files is None else files, label="supabase/migrations"),
        history=history,
        strategy=Strategy.AUTO,
        include_all=False,
        until="",
        checks=3,
        target_fingerprint="f",
    )


class NoSalvages:
    """There is none."""

    async def all(self) -> list[Salvage]:
        return []

    async def waiting(self) -> set[str]:
        return set()


@dataclass
class ScriptedAgent:
    """Answers as `agent.cli._service.Service` must; what was asked is kept in `asked`."""

    story: Storyteller = field(default_factory=stories.succeeded)
    plan_found: Plan = field(default_factory=a_plan)
    findings: list[Finding] = field(default_factory=list)
    records: list[BackupRecord] = field(default_factory=lambda: [RECORD, OLDER])
    checks: list[CheckResult] = field(default_factory=list)
    diff_found: CatalogDiff = field(default_factory=CatalogDiff)
    salvages: Any = field(default_factory=NoSalvages)
    error: BaseException | None = None
    plan_error: AgentError | None = None
    before_end: Callable[[ScriptedAgent], Any] | None = None
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    answered: Storyteller | None = None  # what the deploy comes to where no other process runs it
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)

    def _fail(self) -> None:
        if self.error is not None:
            raise self.error

    async def plan(self, request: DeployRequest) -> Plan:
        self._fail()
        self.asked.append(("plan", request))
        if self.plan_error is not None:
            raise self.plan_error
        return self.plan_found

    async def deploy(
        self, request: DeployRequest, on_event: Callable[[Event], None], on_start: Callable[[Deploy], None]
    ) -> Deploy:
        self._fail()
        self.asked.append(("deploy", request))
        on_start(self.story.deploy().model_copy(update={"state": State.QUEUED, "finished_at": None, "failure": None}))
        for event in self.story.events:
            on_event(event)
        if self.before_end is not None:
            await self.before_end(self)
        return self.story.deploy()

    async def deploys(self, limit: int = 50) -> list[Deploy]:
        self._fail()
        return [self.story.deploy()][:limit]

    async def get(self, deploy_id: str) -> Deploy:
        if not self.story.deploy().id.startswith(deploy_id):
            raise NotFoundError(f"there is no deploy {deploy_id!r}", code="notfound.deploy", hint="See `history`.")
        return self.story.deploy()

    async def events(self, deploy_id: str, after: int = 0) -> list[Event]:
        return [event for event in self.story.events if event.seq > after]

    async def cancel(self, deploy_id: str, reason: str) -> Deploy:
        self.asked.append(("cancel", deploy_id, reason))
        self.cancelled.set()
        return await self.get(deploy_id)

    async def approve(
        self, deploy_id: str, number: int, *, approve: bool, remark: str, on_event: Callable[[Event], None]
    ) -> Deploy:
        self.asked.append(("approve", deploy_id, number, approve, remark))
        self.story = self.answered or self.story
        for event in self.story.events if self.answered else []:
            on_event(event)
        return self.story.deploy()

    async def doctor(self) -> list[Finding]:
        self._fail()
        return self.findings

    async def support(self, *, deploys: int, with_sql: bool) -> dict[str, Any]:
        self._fail()
        return {"deploys.json": [], "tools.json": {"error": {"code": "tool.missing"}}}

    async def backup(self, on_event: Callable[[NewEvent], None]) -> BackupRecord:
        self._fail()
        on_event(NewEvent(kind=EventKind.BACKUP, message="backup published", at=START, data={"id": RECORD.id}))
        return RECORD

    async def backups(self) -> list[BackupRecord]:
        return self.records

    async def backup_manifest(self, backup_id: str) -> Manifest:
        if not RECORD.id.startswith(backup_id):
            raise NotFoundError(f"there is no backup {backup_id!r}", code="notfound.backup")
        return MANIFEST

    async def diff(self, backup_id: str) -> tuple[BackupRecord, CatalogDiff]:
        self.asked.append(("diff", backup_id))
        return RECORD, self.diff_found

    async def verify_backup(self, backup_id: str, *, restore: bool = False) -> BackupRecord:
        self.asked.append(("verify_backup", backup_id, restore))
        return RECORD

    async def prune(self, *, dry_run: bool = False) -> list[BackupRecord]:
        self.asked.append(("prune", dry_run))
        return [OLDER]

    async def restore(self, backup_id: str, on_event: Callable[[NewEvent], None]) -> BackupRecord:
        self.asked.append(("restore", backup_id))
        on_event(NewEvent(kind=EventKind.LOG, message="restoring", at=START))
        return OLDER

    async def restore_to(
        self,
        backup_id: str,
        url: SecretStr,
        *,
        overwrite: bool,
        jobs: int | None,
        on_event: Callable[[NewEvent], None],
    ) -> Aside:
        self.asked.append(("restore_to", backup_id, url.get_secret_value(), overwrite, jobs))
        data = {"what": "restore", "phase": "load", "done": 1, "total": 2}
        on_event(NewEvent(kind=EventKind.PROGRESS, message="restore: 1 of 2 bytes", at=START, data=data))
        return Aside(
            backup_id=backup_id,
            target="other.example:5432/postgres",
            tables=12,
            rows=34_567,
            seconds=75,
            left_out=("cron job refresh",),
            unchecked_keys=("public.profiles profiles_id_fkey",),
        )

    async def verify(self, on_event: Callable[[NewEvent], None]) -> list[CheckResult]:
        self._fail()
        return self.checks

    async def applied_versions(self) -> list[str]:
        return list(self.plan_found.applied)

    async def wait_for(self, version: str, timeout_s: float) -> None:
        if version not in await self.applied_versions():
            raise WaitTimeoutError(
                f"the database does not have version {version} after {timeout_s:g} s; it has none",
                code="wait.timeout",
                hint="See `deploy-agent status`.",
            )

    @asynccontextmanager
    async def open(self, _settings: object) -> AsyncIterator[ScriptedAgent]:
        yield self


def a_check(name: str, verdict: Verdict, severity: Severity = Severity.ERROR) -> CheckResult:
    return CheckResult(
        id=name,
        title=name,
        phase="final",
        verdict=verdict,
        severity=severity,
        expected="no rows",
        observed="no rows" if verdict is Verdict.PASSED else "2 rows: 1, 7",
        seconds=0.012,
    )
