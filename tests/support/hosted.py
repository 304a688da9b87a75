"""Deploys beside the simulated platform: the real client, and answers that a test scripts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from agent.edges.management_api import ManagementApi, Timing
from tests.simulator import Platform
from tests.support.deploying import Outcome, deploy, make_settings


@asynccontextmanager
async def client(platform: Platform, token: str = "") -> AsyncIterator[ManagementApi]:
    """The client of the first project, which tries nothing again."""
    api = ManagementApi(
        ref=platform.ref,
        token=lambda: SecretStr(token or platform.token),
        base_url=platform.url,
        timing=Timing(timeout_s=5, slow_timeout_s=5, deadline_s=0),
    )
    try:
        yield api
    finally:
        await api.close()


async def deployed(
    url: str, folder: Path, platform: Platform, strategy: str = "auto", token: str = "", **more: Any
) -> Outcome:
    """Run a deploy that may ask the platform."""
    async with client(platform, token) as api:
        return await deploy(make_settings(url, folder), strategy, deps={"platform": api, **more})


def answers(platform: Platform, operation: str, *bodies: bytes, media: str | None = None, last: bool = False) -> None:
    """What the operation answers, one call after the other; `last`: the last one from then on."""
    for number, one in enumerate(bodies, start=1):
        always = last and number == len(bodies)
        platform.fault(operation, status=200, body=one, media=media, times=None if always else 1)


def runbook(folder: Path, text: str) -> None:
    """Write the runbook; `text`: without version and title."""
    (folder / "deploy.yaml").write_text(f"version: 1\ntitle: Test\n{text}")
