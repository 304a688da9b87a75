"""What the tests of backup and restore share: a rich database, and a look at all of it."""

from __future__ import annotations

import asyncio
import re
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from agent.core.compare import Differences, differences
from agent.core.models import BackupRecord, BackupState, NewEvent, Snapshot
from agent.deploy.backup import BackupOptions, take_backup
from agent.deploy.restore import restore_in_place
from agent.deploy.snapshot import application_schemas, exported, take_snapshot
from agent.edges.pgtools import PostgresTools
from agent.edges.store import open_store
from agent.edges.target import PsycopgTarget
from agent.ports import DeployStore, ObjectStore

_HERE = Path(__file__).parent
RICH = (_HERE / "rich.sql").read_text()
DAMAGE = (_HERE / "damage.sql").read_text()


class FixedClock:
    """The real time; sleeps are short."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(min(seconds, 0.05))


CLOCK = FixedClock()


@dataclass(kw_only=True)
class Kit:
    """One database, its tools, a place for backups, a store."""

    url: str
    objects: ObjectStore
    store: DeployStore
    options: BackupOptions = field(default_factory=BackupOptions)
    events: list[NewEvent] = field(default_factory=list)
    tools: PostgresTools = field(init=False)
    target: PsycopgTarget = field(init=False)

    def __post_init__(self) -> None:
        self.tools = PostgresTools(SecretStr(self.url))
        self.target = PsycopgTarget(SecretStr(self.url))

    async def run(self, text: str) -> None:
        async with self.target.session(purpose="test") as session:
            await session.run_many([text])

    async def value(self, text: str) -> Any:
        async with self.target.session(purpose="test") as session:
            return await session.value(text)

    async def snapshot(self) -> Snapshot:
        async with exported(self.target, purpose="test") as (session, _):
            schemas = await application_schemas(session, ())
            return await take_snapshot(session, schemas=schemas, runbook=None, now=CLOCK.now())

    async def take(self, *, deploy_id: str = "") -> tuple[BackupRecord, Snapshot]:
        async with exported(self.target, purpose="test") as (session, snapshot_id):
            schemas = await application_schemas(session, ())
            snapshot = await take_snapshot(session, schemas=schemas, runbook=None, now=CLOCK.now())
            record = await take_backup(
                session=session,
                snapshot_id=snapshot_id,
                snapshot=snapshot,
                target=self.target,
                tools=self.tools,
                objects=self.objects,
                store=self.store,
                clock=CLOCK,
                project="demo",
                deploy_id=deploy_id,
                options=self.options,
                emit=self.events.append,
            )
        return record, snapshot

    async def restore(self, record: BackupRecord) -> None:
        await restore_in_place(
            target=self.target,
            tools=self.tools,
            objects=self.objects,
            backup=record,
            options=self.options,
            clock=CLOCK,
            purpose="test-restore",
            emit=self.events.append,
        )

    async def differences(self, before: Snapshot) -> Differences:
        return differences(before, await self.snapshot())

    async def state_of(self, record: BackupRecord) -> BackupState:
        [found] = [one for one in await self.store.backups(project="demo") if one.id == record.id]
        return found.state


@asynccontextmanager
async def kit(url: str, objects: ObjectStore, folder: Path, **options: Any) -> AsyncIterator[Kit]:
    store = await open_store(f"sqlite+aiosqlite:///{folder / 'agent.db'}")
    try:
        yield Kit(url=url, objects=objects, store=store, options=BackupOptions(**options))
    finally:
        await store.close()


def schema_text(pg_dump: Path, url: str) -> str:
    """`pg_dump --schema-only` of the whole database.

    Left out: the \\restrict token, which is random. Comments carry the owner and schema and stay.
    """
    text = subprocess.run(
        [pg_dump, "--schema-only", f"--dbname={url}"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    return re.sub(r"^\\(un)?restrict .*$", "", text, flags=re.MULTILINE)
