"""A rehearsal: the pending migrations on a branch of the project, which is made for it and always deleted.

The branch is found by its name, so that one is deleted too of which only the request to make it is known, and one that
a killed agent has left.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

from pydantic import SecretStr

from agent.core import rehearsal as core
from agent.core.models import Deploy, DeployRequest, Event
from agent.core.platform import Branch, BranchDetail, Pooler
from agent.core.platform_connection import session_pooler
from agent.core.rehearsal import Rehearsal
from agent.core.units import count
from agent.deploy import service
from agent.deploy.beside import beside
from agent.deploy.deps import Deps
from agent.deploy.supervisor import queue
from agent.deploy.workflow import run_deploy
from agent.errors import AgentError, InputError, PlatformError, PreflightError, TargetError
from agent.ports import Clock, Platform

T = TypeVar("T")
Tell = Callable[[str], None]
OpenBranch = Callable[[BranchDetail], AbstractAsyncContextManager[Deps]]
_DELETE_PAUSES_S = (1.0, 2.0, 5.0, 10.0, 20.0)


@dataclass(frozen=True, kw_only=True)
class BranchWish:
    """How to rehearse. `ready_s`: how long the branch may take until it can be used; `poll_s`: how often to look."""

    with_data: bool = False
    instance_size: str = ""
    ready_s: float = 900.0
    poll_s: float = 3.0


@dataclass(frozen=True, kw_only=True)
class Hearing:
    """Who hears what. `tell`: one line for people; `begun`: the deploy on the branch; `event`: its events, in order."""

    tell: Tell
    begun: Callable[[Deploy], None]
    event: Callable[[Event], None]


class _Plainly:
    """Steps that are run and forgotten: a rehearsal that is killed is not gone on with."""

    def __init__(self, deploy_id: str) -> None:
        self.deploy_id = deploy_id

    async def step(self, name: str, action: Callable[[], Awaitable[T]]) -> T:  # noqa: ARG002 - the port's
        return await action()


async def rehearse(
    deps: Deps, request: DeployRequest, wish: BranchWish, *, mark: str, open_branch: OpenBranch, hearing: Hearing
) -> tuple[Rehearsal, Deploy | None]:
    """Apply what is pending on a branch, as a deploy does, and delete the branch.

    Args:
        mark: of this agent on this volume; it must be alone there.
        open_branch: the ports for a branch that is ready.

    Returns:
        What became of it, and the deploy on the branch; None where nothing is pending.

    Raises:
        InputError: `rehearsal.no_platform`: there is no token.
        PreflightError: the plan has errors; `rehearsal.other_plan`: the branch begins elsewhere than the project is.
        PlatformError: `rehearsal.stuck`, `rehearsal.branch_failed`, `rehearsal.no_password`; `rehearsal.branch_left`:
            the branch could not be deleted; or the platform refuses.
    """
    platform, clock = deps.platform, deps.clock
    if platform is None:
        raise InputError(
            "a rehearsal makes a branch of the project, and the agent has no token for the Management API",
            code="rehearsal.no_platform",
            hint="Set platform.token (and platform.ref, where database_url names no project); see docs/platform.md.",
            where={"field": "platform.token"},
        )
    swept = await _sweep(platform, clock, mark, hearing.tell)
    plan = await service.plan(deps, request)
    for error in plan.errors:
        raise PreflightError(error.message, code=error.code, hint=error.hint, where=error.where)
    if not plan.scripts:
        return Rehearsal(deleted=tuple(swept)), None
    began = clock.now()
    name = core.branch_name(mark, began)
    async with _branch(platform, clock, name, wish, hearing.tell) as detail:
        ready_s = (clock.now() - began).total_seconds()
        hearing.tell(f"The branch is ready after {ready_s:.0f} s.")
        async with open_branch(detail) as there:
            await _same_plan(there, request, [one.migration.version for one in plan.scripts])
            deploy = await _deploy(there, request, hearing)
    return Rehearsal(
        branch=name,
        ref=detail.ref,
        ready_s=ready_s,
        total_s=(clock.now() - began).total_seconds(),
        deploy_id=deploy.id,
        state=deploy.state.value,
        deleted=(*swept, name),
        caveats=core.caveats(with_data=wish.with_data),
    ), deploy


async def _sweep(platform: Platform, clock: Clock, mark: str, tell: Tell) -> list[str]:
    left = core.left_behind(await platform.branches(), mark, clock.now())
    for one in left:
        await platform.delete_branch(one.project_ref)
        tell(f"Deleted the branch {one.name}, which an earlier rehearsal has left.")
    return [one.name for one in left]


async def _same_plan(there: Deps, request: DeployRequest, expected: list[str]) -> None:
    found = [one.migration.version for one in (await service.plan(there, request)).scripts]
    if found != expected:
        raise PreflightError(
            f"{count(len(found), 'migration')} would be pending on the branch, and {len(expected)} on the project",
            code="rehearsal.other_plan",
            hint="A branch is made from the project's migration history: see whether its statements are complete"
            " (supabase migration list), or rehearse --with-data.",
        )


async def _deploy(there: Deps, request: DeployRequest, hearing: Hearing) -> Deploy:
    queued = await queue(there, request)
    hearing.begun(queued)
    async with beside(service.follow(there, queued.id, hearing.event)) as [following]:
        await run_deploy(_Plainly(queued.id), there)
        return await following


@asynccontextmanager
async def _branch(
    platform: Platform, clock: Clock, name: str, wish: BranchWish, tell: Tell
) -> AsyncIterator[BranchDetail]:
    """A new branch, ready for use; deleted whatever happens."""
    failed: BaseException | None = None
    tell(f"Making the branch {name}{' with the data of the project' if wish.with_data else ''}.")
    asked = True
    try:
        try:
            await platform.create_branch(name, with_data=wish.with_data, instance_size=wish.instance_size)
        except PlatformError as error:
            asked = error.in_doubt
            if not asked:
                raise
        yield await _ready(platform, clock, name, wish)
    except BaseException as error:
        failed = error
        raise
    finally:
        if asked:
            await _surely(_delete(platform, clock, name, tell, failed))


async def _surely(work: Awaitable[None]) -> None:
    """Do it to its end, however often the one who waits is cancelled."""
    task = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
        except AgentError:
            break
    task.result()
    if cancelled is not None:
        raise cancelled


async def _delete(platform: Platform, clock: Clock, name: str, tell: Tell, failed: BaseException | None) -> None:
    for pause in (*_DELETE_PAUSES_S, None):
        try:
            found = _named(name, await platform.branches())
            if found is not None:
                await platform.delete_branch(found.project_ref)
        except PlatformError as error:
            if pause is None:
                also = (
                    f" Before, the rehearsal itself failed: {failed.message}" if isinstance(failed, AgentError) else ""
                )
                raise PlatformError(
                    f"the branch {name} could not be deleted, and it costs money until it is: {error.message}.{also}",
                    code="rehearsal.branch_left",
                    hint="Delete it in the dashboard, or rehearse again: that deletes it first.",
                ) from error
            await clock.sleep(pause)
        else:
            if found is not None:
                tell(f"Deleted the branch {name}.")
            return


def _named(name: str, branches: tuple[Branch, ...]) -> Branch | None:
    return next((one for one in branches if one.name == name), None)


async def _ready(platform: Platform, clock: Clock, name: str, wish: BranchWish) -> BranchDetail:
    began = clock.now()
    while True:
        found = _named(name, await platform.branches())
        status, project = "not there", "not there"
        if found is not None:
            status = found.status
            if status == core.FAILED:
                raise PlatformError(
                    f"the branch {name} could not be made: its status is {status}",
                    code="rehearsal.branch_failed",
                    hint="The platform runs the project's migration history on a new branch, and that failed: see the"
                    " branch's log in the dashboard before it is made again, or rehearse --with-data.",
                )
            detail = await platform.branch(found.project_ref)
            project = detail.status
            if detail.healthy and status in core.READY:
                if detail.db_pass is None:
                    raise PlatformError(
                        f"the platform does not tell the password of the branch {name}",
                        code="rehearsal.no_password",
                        hint="Give the agent a token that may see it; see docs/platform.md.",
                    )
                return detail
        waited = (clock.now() - began).total_seconds()
        if waited > wish.ready_s:
            raise PlatformError(
                f"the branch {name} is not ready after {waited / 60:.0f} min: branch {status}, project {project}",
                code="rehearsal.stuck",
                hint="See https://status.supabase.com; give it longer with --ready-within.",
            )
        await clock.sleep(wish.poll_s)


async def branch_url(
    detail: BranchDetail,
    *,
    connect: Callable[[SecretStr], Awaitable[None]],
    poolers: Callable[[], Awaitable[tuple[Pooler, ...]]],
) -> SecretStr:
    """The URL by which a branch's database can be reached: its host, or else its session pooler (IPv4).

    Args:
        connect: tries a URL.
        poolers: of the branch.

    Raises:
        TargetError: neither can be reached.
    """
    user, password = detail.db_user or "postgres", detail.db_pass
    secret = quote(password.get_secret_value(), safe="") if password is not None else ""
    url = SecretStr(f"postgresql://{quote(user, safe='')}:{secret}@{detail.db_host}:{detail.db_port}/postgres")
    try:
        await connect(url)
    except TargetError as error:
        place = session_pooler(await poolers(), detail.ref) if error.code == "target.unreachable" else None
        if place is None:
            raise
        url = SecretStr(f"postgresql://{place.user}:{secret}@{place.host}:{place.port}/{place.database}")
        await connect(url)
    return url
