"""A deploy that failed and is held, while the application wrote: for tests of what is salvaged."""

from __future__ import annotations

import textwrap
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from agent.bootstrap import open_deps
from agent.core.backups import Manifest
from agent.core.models import NewEvent
from agent.core.salvage import Salvage, Wishes, place
from agent.deploy import service
from agent.deploy.archive import load_manifest
from agent.deploy.deps import Deps
from agent.deploy.salvage import take_salvage
from agent.deploy.salvages import apply_salvage, load_salvages
from agent.settings import Settings
from tests.support.deploying import Outcome, deploy, make_settings, write_migrations
from tests.support.oracle import psql


@dataclass(frozen=True, kw_only=True)
class Failed:
    """A deploy that waits for a person, with everything it committed still in the database."""

    deps: Deps
    outcome: Outcome
    manifest: Manifest

    async def salvage(self, tables: Collection[str] | None = None) -> tuple[Salvage | None, list[NewEvent]]:
        """What take_salvage keeps now, and what it says."""
        said: list[NewEvent] = []
        async with (
            self.deps.target.session(purpose="salvage") as session,
            session.transaction(read_only=True, repeatable=True),
        ):
            taken = await take_salvage(
                session=session,
                target=self.deps.target,
                purpose="salvage",
                objects=self.deps.objects,
                manifest=self.manifest,
                options=self.deps.backup,
                deploy_id=self.outcome.deploy.id,
                tables=tables,
                clock=self.deps.clock,
                emit=said.append,
            )
        return taken.salvage, said

    async def apply(self, **wishes: bool) -> dict[str, dict[str, int]]:
        """Put the only salvage back; per table, what became of its rows."""
        [stored] = await load_salvages(self.deps.objects, "test")
        async with self.deps.target.session(purpose="salvage") as session:
            applied = await apply_salvage(session, self.deps.objects, stored, self.deps.backup, Wishes(**wishes))
        numbers = ("inserted", "overwritten", "there", "differs", "refused", "left")
        return {one.table: {name: getattr(one, name) for name in numbers if getattr(one, name)} for one in applied}

    async def restore(self) -> None:
        """What a person would do then."""
        await service.restore(self.deps, self.manifest.id, lambda _: None)


@asynccontextmanager
async def failed(database: Any, folder: Path, migration: str, *, first: str = "", **more: Any) -> AsyncIterator[Failed]:
    """Run a migration that commits, and one that fails; `application(…)` in it runs SQL as another session."""
    psql(database.admin_url, "create extension if not exists dblink with schema extensions")
    psql(database.url, first)
    write_migrations(folder, {"20260101000000_first.sql": migration, "20260102000000_fails.sql": "select 1/0"})
    settings: Settings = make_settings(database.url, folder, deploy={"restore": "hold"}, **more)
    outcome = await deploy(settings, "per_migration")
    assert outcome.state == "needs_operator", outcome.why
    async with open_deps(settings) as deps:
        record = next(one for one in await deps.store.backups() if one.id == outcome.deploy.backup_id)
        for stored in await load_salvages(deps.objects, "test"):  # what the deploy itself has kept
            await deps.objects.delete(place(stored.salvage))
        yield Failed(deps=deps, outcome=outcome, manifest=await load_manifest(deps.objects, record))


def application(database: Any, statements: str) -> str:
    """SQL that runs other SQL in a session of its own, which commits: what an application does meanwhile."""
    text = " ".join(textwrap.dedent(statements).split("\n")).replace("'", "''")
    connection = psycopg.conninfo.make_conninfo(database.admin_url).replace("'", "''")
    return f"select extensions.dblink_exec('{connection}', '{text}')"
