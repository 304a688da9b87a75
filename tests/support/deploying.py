"""Deploys in tests: the real workflow on real parts, without the durable engine where that is not the subject."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, TypeVar

from pydantic import SecretStr

from agent.bootstrap import open_deps
from agent.core.models import Deploy, DeployRequest, Event, Strategy
from agent.deploy.events import read_events
from agent.deploy.supervisor import queue
from agent.deploy.workflow import run_deploy
from agent.settings import Settings

T = TypeVar("T")


class PlainCtx:
    """Steps that are run and forgotten."""

    def __init__(self, deploy_id: str) -> None:
        self.deploy_id = deploy_id

    async def step(self, name: str, action: Callable[[], Awaitable[T]]) -> T:
        return await action()


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A deploy that has ended."""

    deploy: Deploy
    events: list[Event]

    def of(self, kind: str) -> list[Event]:
        return [event for event in self.events if event.kind == kind]

    @property
    def state(self) -> str:
        return self.deploy.state.value

    @property
    def why(self) -> str:
        assert self.deploy.failure is not None
        return f"{self.deploy.failure.code}: {self.deploy.failure.message}"


def make_settings(url: str, folder: Path, **more: Any) -> Settings:
    """Settings for one database, with everything else under `folder`."""
    return Settings(
        **{
            "project": "test",
            "database_url": SecretStr(url),
            "migrations": folder / "migrations",
            "runbook": folder / "deploy.yaml",
            "state_dir": folder / "state",
            "backup": {"min_bytes": 0},
            **more,
        }
    )


def write_migrations(folder: Path, files: dict[str, str]) -> None:
    """`{"001_a.sql": "create table …"}` as a folder of migrations."""
    place = folder / "migrations"
    place.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (place / name).write_text(text)


async def deploy(
    settings: Settings, strategy: str = "auto", *, moved: Callable[[int], None] = lambda _: None, **request: Any
) -> Outcome:
    """Run a deploy to its end in this event loop; `moved` is called with the number of each change of state."""
    numbers = count(1)
    async with open_deps(settings) as opened:
        deps = replace(opened, moved=lambda: moved(next(numbers)))
        order = DeployRequest(project=settings.project, strategy=Strategy(strategy), requested_by="test", **request)
        queued = await queue(deps, order)
        await run_deploy(PlainCtx(queued.id), deps)
        return Outcome(deploy=await deps.store.get(queued.id), events=await read_events(deps.store, queued.id))
