"""What somebody who helps needs to know of an installation, as named parts; each is read by itself."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agent import sql
from agent.core.models import Deploy
from agent.deploy import service
from agent.deploy.deps import Deps
from agent.deploy.events import read_events
from agent.errors import AgentError

Parts = dict[str, Any]
"""File names, and what is to stand in each: JSON values."""

_SQL_KEYS = frozenset({"sql", "query", "detail"})
_LEFT_OUT = "(left out; --with-sql keeps it)"


@dataclass(frozen=True, kw_only=True)
class Wish:
    """How much is wanted.

    `deploys`: so many of the last ones. `with_sql`: also the migrations' text, the statements that failed or blocked,
    and the server's DETAIL, in which rows may be quoted.
    """

    deploys: int
    with_sql: bool


async def collect(deps: Deps, wish: Wish) -> Parts:
    """Read everything that can be read; what cannot is told in its place, as `error`."""
    parts: Parts = {}
    for name, read in _PARTS.items():
        try:
            parts[name] = await read(deps, wish)
        except AgentError as error:
            parts[name] = {"error": error.as_dict()}
    return parts


async def _last(deps: Deps, wish: Wish) -> list[Deploy]:
    return await deps.store.deploys(project=deps.options.project, limit=wish.deploys) if wish.deploys else []


async def _deploys(deps: Deps, wish: Wish) -> object:
    return [_without_sql(one.model_dump(mode="json"), wish) for one in await _last(deps, wish)]


async def _events(deps: Deps, wish: Wish) -> object:
    return {
        deploy.id: [_without_sql(one.model_dump(mode="json"), wish) for one in await read_events(deps.store, deploy.id)]
        for deploy in await _last(deps, wish)
    }


async def _doctor(deps: Deps, _: Wish) -> object:
    return [one.model_dump(mode="json") for one in await service.doctor(deps, [])]


async def _backups(deps: Deps, _: Wish) -> object:
    return [one.model_dump(mode="json") for one in await deps.store.backups(project=deps.options.project)]


async def _notifications(deps: Deps, _: Wish) -> object:
    counted = await deps.store.undelivered()
    return [{"target": target, "state": state, "messages": count} for (target, state), count in counted.items()]


async def _migrations(deps: Deps, wish: Wish) -> object:
    folder = await asyncio.to_thread(deps.read_folder)
    return [
        {"version": one.version, "file": one.file, "sha256": one.sha256, "characters": len(one.text)}
        | ({"text": one.text} if wish.with_sql else {})
        for one in folder.migrations
    ]


async def _server(deps: Deps, _: Wish) -> object:
    async with deps.target.session(purpose="support") as session:
        return {
            "label": deps.target.label,
            "version": await session.value(sql.load("target/version")),
            "applied": await service.applied_versions(deps),
            "settings": await session.rows(sql.load("target/settings")),
        }


async def _tools(deps: Deps, _: Wish) -> object:
    return dict(await deps.tools.versions())


_PARTS: Mapping[str, Callable[[Deps, Wish], Awaitable[object]]] = {
    "doctor.json": _doctor,
    "deploys.json": _deploys,
    "events.json": _events,
    "backups.json": _backups,
    "notifications.json": _notifications,
    "migrations.json": _migrations,
    "server.json": _server,
    "tools.json": _tools,
}


def _without_sql(value: Any, wish: Wish) -> Any:  # noqa: ANN401 - JSON, walked
    """The same without texts that may quote statements or rows, unless they are wished for."""
    if wish.with_sql:
        return value
    if isinstance(value, dict):
        return {
            key: _LEFT_OUT if key in _SQL_KEYS and isinstance(item, str) and item else _without_sql(item, wish)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_without_sql(item, wish) for item in value]
    return value
