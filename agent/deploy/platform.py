"""What preflight asks the platform: everything at once, each answer judged by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Any

from agent.core import platform_preflight as judge
from agent.core.models import Finding
from agent.core.platform import HEALTH_SERVICES
from agent.core.platform_preflight import PlatformLimits
from agent.errors import AgentError, PlatformError
from agent.ports import Platform


@dataclass(frozen=True, kw_only=True)
class Connected:
    """What the agent's connection to the database shows.

    `host`: where it leads. `address`: the agent's own, as the server sees it, or "". `major`: the server's version.
    """

    host: str
    address: str
    major: int


@dataclass(frozen=True, kw_only=True)
class _Question:
    about: str
    ask: Callable[[], Awaitable[Any]]


def _questions(platform: Platform) -> dict[str, _Question]:
    async def health() -> object:
        return await platform.health(HEALTH_SERVICES)

    asked: dict[str, tuple[str, Callable[[], Awaitable[Any]]]] = {
        "project": ("the project's status on the platform", platform.project),
        "health": ("the health of the project's services", health),
        "read_only": ("whether the platform has made the database read-only", platform.read_only),
        "disk": ("how full the disk is", platform.disk),
        "upgrade": ("whether an upgrade is running", platform.upgrade_status),
        "offered": ("whether an upgrade is on offer", platform.upgrade_eligibility),
        "settings": ("the settings of Postgres", platform.settings),
        "maintenance": ("maintenance windows", platform.maintenance),
        "restrictions": ("network restrictions", platform.network_restrictions),
        "bans": ("network bans", platform.network_bans),
        "backups": ("the platform's own backups", platform.backups),
        "entitlements": ("what the plan allows", platform.entitlements),
    }
    return {name: _Question(about=about, ask=ask) for name, (about, ask) in asked.items()}


async def look_at_platform(
    platform: Platform, connected: Connected, *, now: datetime, required: bool, limits: PlatformLimits | None = None
) -> list[Finding]:
    """Ask everything at once; what could not be asked is a finding `preflight.not_checked`, an error if `required`."""
    limits = limits or PlatformLimits()
    questions = _questions(platform)
    answers = await asyncio.gather(*(_answer(one) for one in questions.values()))
    found: dict[str, Any] = {}
    unknown: list[tuple[str, AgentError]] = []
    for (name, question), answer in zip(questions.items(), answers, strict=True):
        if isinstance(answer, AgentError):
            unknown.append((question.about, answer))
        else:
            found[name] = answer
    project = found.get("project")
    address = _own_address(connected, project.database.host if project else "")
    judges: dict[str, Callable[[Any], list[Finding]]] = {
        "project": lambda one: judge.project(one, major=connected.major),
        "health": judge.health,
        "read_only": judge.read_only,
        "disk": lambda one: judge.disk(one, limits),
        "upgrade": judge.upgrade,
        "offered": judge.upgrade_offered,
        "settings": judge.settings,
        "maintenance": lambda one: judge.maintenance(one, now=now, limits=limits),
        "restrictions": lambda one: judge.restrictions(one, address=address),
        "bans": lambda one: judge.bans(one, address=address),
        "backups": lambda one: judge.backups(one, entitlements=found.get("entitlements"), now=now, limits=limits),
    }
    judged = [finding for name, meaning in judges.items() if name in found for finding in meaning(found[name])]
    return [*judged, *judge.not_checked(unknown, required=required)]


async def _answer(question: _Question) -> object:
    try:
        return await question.ask()
    except PlatformError as error:
        return error


def _own_address(connected: Connected, direct_host: str) -> str:
    """The agent's address, where it is the one that the platform would ban: connected directly, and public."""
    if connected.host != direct_host:
        return ""
    try:
        return connected.address if ip_address(connected.address).is_global else ""
    except ValueError:
        return ""
