"""Deploys of a project on the simulated platform; as a program, one in a process of its own, which a test may kill."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from agent.bootstrap import open_deps
from agent.core.models import DeployRequest, Strategy
from agent.core.states import State
from agent.deploy.deps import Deps, PlatformRestore
from agent.deploy.events import read_events
from agent.deploy.supervisor import queue
from agent.deploy.workflow import run_deploy
from agent.edges.management_api import ManagementApi
from tests.support.deploying import Outcome, PlainCtx, make_settings

PROJECT = "project"
"""The database of the simulated project."""
QUICK = PlatformRestore(poll_s=0.3, begin_s=30.0, deadline_s=120.0, window_s=10.0, point_s=5.0)


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a deploy runs, and where its platform is."""

    url: str
    folder: str
    ref: str
    token: str
    base_url: str


async def run(
    place: Place,
    *,
    options: PlatformRestore = QUICK,
    at: dict[str, Callable[[], object]] | None = None,
    wrap: Callable[[Any], Any] = lambda api: api,
    again: str = "",
    **policy: Any,
) -> Outcome:
    """Run a deploy to its end.

    Args:
        at: what the application does when the deploy comes into a state.
        wrap: stands before the platform's client.
        again: the id of a deploy that another worker has left; "": a new one.
        policy: of the settings' section `deploy`.
    """
    settings = make_settings(place.url, Path(place.folder), deploy={"platform_restore": "auto", **policy})
    api = ManagementApi(ref=place.ref, token=lambda: SecretStr(place.token), base_url=place.base_url)
    waiting = dict(at or {})

    def moved(state: State) -> None:
        if act := waiting.pop(state.value, None):
            act()

    async with open_deps(settings) as opened:
        deps: Deps = replace(
            opened, platform=wrap(api), moved=moved, options=replace(opened.options, platform_restore=options)
        )
        order = DeployRequest(project="test", strategy=Strategy.PER_MIGRATION)
        id_ = again or (await queue(deps, order)).id
        try:
            await run_deploy(PlainCtx(id_), deps)
        finally:
            await api.close()
        return Outcome(deploy=await deps.store.get(id_), events=await read_events(deps.store, id_))


def start(place: Place) -> subprocess.Popen[bytes]:
    """Run a deploy in another process."""
    process = subprocess.Popen([sys.executable, "-m", "tests.support.platform_deploys"], stdin=subprocess.PIPE)
    assert process.stdin is not None
    process.stdin.write(json.dumps(asdict(place)).encode())
    process.stdin.close()
    return process


if __name__ == "__main__":
    asyncio.run(run(Place(**json.load(sys.stdin))))
