"""Deploys in tests: the real workflow on real parts, without the durable engine where that is not the subject."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import SecretStr

from agent.bootstrap import open_deps
from agent.core.models import Deploy, DeployRequest, Event, Strategy
from agent.core.states import State
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
    settings: Settings,
    strategy: str = "auto",
    *,
    moved: Callable[[State], None] = lambda _: None,
    deps: dict[str, Any] | None = None,
    **request: Any,
) -> Outcome:
    """Run a deploy to its end in this event loop.

    Args:
        moved: called with each new state.
        deps: ports to take instead of those of the settings, such as `platform`.
    """
    ports = deps or {}
    async with open_deps(settings) as opened:
        using = replace(opened, moved=moved, **ports)
        order = DeployRequest(project=settings.project, strategy=Strategy(strategy), requested_by="test", **request)
        queued = await queue(using, order)
        await run_deploy(PlainCtx(queued.id), using)
        return Outcome(deploy=await using.store.get(queued.id), events=await read_events(using.store, queued.id))


async def until_told(settings: Settings, kind: str, *, when: Callable[[dict[str, Any]], bool] = lambda _: True) -> None:
    """Wait until the deploy that runs has told of such an event. It is asked for: the store calls nobody back."""
    async with open_deps(settings) as deps:
        while True:
            for one in await deps.store.deploys(limit=1):
                if any(event.kind == kind and when(event.data) for event in await deps.store.events(one.id)):
                    return
                assert not one.is_final, f"it ended {one.state}, and never told of {kind}"
            await asyncio.sleep(0.05)
