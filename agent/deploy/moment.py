"""The moment before the first migration, noted so that the platform can bring the project back to it."""

from __future__ import annotations

from agent import sql
from agent.core.models import EventKind, Severity
from agent.core.platform import RestorePoint
from agent.core.platform_restore import Moment, in_the_way, in_words, point_name
from agent.core.restore_policy import PLATFORM, setting_for
from agent.deploy.approval import policy_of
from agent.deploy.deps import Run
from agent.deploy.snapshot import schemas_of
from agent.errors import PlatformError
from agent.ports import Platform, Session

_NOTED = "platform_moment"
_PENDING = "PENDING"


async def note_moment(run: Run, session: Session) -> None:
    """Note the moment, where the policy does not leave a restore by the platform to people anyway.

    The deploy's fence is committed by now, and no migration is. A second begins and ends in between, by the server's
    clock, so this takes up to one second, and as long as a restore point takes.

    Raises:
        Stop: somebody asked to cancel.
        StoreError: the agent's own store refused.
    """
    setting, may = setting_for(PLATFORM, policy_of(run))
    if may == "hold":
        return
    platform = run.deps.platform
    if platform is None:
        _warn(run, f"{setting} is set to {may}, and the agent has no token for the platform: it cannot be asked")
        return
    moment = await noted_moment(run)
    if moment is not None and moment.second:
        return  # by a worker before this one, whose migrations may have begun
    if moment is None:  # a restore point is made after it, so whatever is visible in it comes back
        moment = Moment(second=0, snapshot=await session.value(sql.load("salvage/now")))
        await _note(run, moment)
    point = await _point(run, platform)
    moment = moment.model_copy(update={"second": await _whole_second(run, session), "point": point})
    await _note(run, moment)
    run.emitter.emit(
        EventKind.PLATFORM_RESTORE,
        f"the platform can be asked to go back to {in_words('undo' if point else 'pitr', moment)}",
        phase="marked",
        way="undo" if point else "pitr",
        point=point,
        second=moment.second,
        status="",
        seconds=0.0,
    )
    await _tell_what_is_missing(run, platform, session, moment)


async def noted_moment(run: Run) -> Moment | None:
    """What was noted before the first migration; its second is 0 where the note was not finished."""
    text = await run.deps.store.get_evidence(run.deploy_id, _NOTED)
    return Moment.model_validate_json(text) if text else None


async def obstacles(run: Run, session: Session) -> str:
    """What stands in the way of a restore by the platform, or would be lost in it, in words; or ""."""
    assert run.before is not None  # noqa: S101 - recalled
    [found] = await session.rows(sql.load("platform/obstacles"), {"schemas": schemas_of(run.before)})
    if words := in_the_way(found["slots"], found["subscriptions"]):
        return f"{words}, which must be gone before a project can be restored, and which the agent does not drop"
    if found["unlogged"]:
        return f"unlogged tables, which a restore would leave empty ({', '.join(found['unlogged'][:5])})"
    return ""


async def _note(run: Run, moment: Moment) -> None:
    await run.deps.store.put_evidence(run.deploy_id, _NOTED, moment.model_dump_json())


async def _whole_second(run: Run, session: Session) -> int:
    """A second that begins after everything that has committed so far, and that is over."""
    now = await session.value(sql.load("platform/clock"))
    second = int(now) + 1
    while now <= second:
        await run.deps.clock.sleep(second - now + 0.001)
        now = await session.value(sql.load("platform/clock"))
    return second


async def _point(run: Run, platform: Platform) -> str:
    """The name of a restore point of now, or "": most customers have none."""
    name = point_name(run.deploy_id)
    waited = 0.0
    options = run.deps.options.platform_restore
    try:
        found = await _made(platform, name)
        while found.status == _PENDING and waited < options.point_s:
            run.check_cancelled()
            await run.deps.clock.sleep(options.poll_s)
            waited += options.poll_s
            found = await platform.restore_point(name)
    except PlatformError as error:
        run.emitter.emit(EventKind.LOG, f"the platform makes no restore point: {error.message}", code=error.code)
        return ""
    if not found.available:
        _warn(run, f"the restore point {name} is not available: it is {found.status}")
        return ""
    return name


async def _made(platform: Platform, name: str) -> RestorePoint:
    """Ask for it; it may be there already, by a request whose answer was lost, or by an earlier worker."""
    try:
        return await platform.create_restore_point(name)
    except PlatformError as error:
        if not error.in_doubt and error.code != "platform.refused":
            raise
        try:
            return await platform.restore_point(name)
        except PlatformError as unknown:
            raise error from unknown


async def _tell_what_is_missing(run: Run, platform: Platform, session: Session, moment: Moment) -> None:
    """Whether the platform could do it now, while somebody may still change that."""
    if blocked := await obstacles(run, session):
        _warn(run, f"as it is now, the platform could not restore the project: it has {blocked}")
    if moment.point:
        return
    try:
        enabled = (await platform.backups()).pitr_enabled
    except PlatformError as error:
        _warn(run, f"whether the platform could restore the project is not known: {error.message}")
        return
    if not enabled:
        _warn(run, "the platform could not restore the project: it has neither restore points nor PITR")


def _warn(run: Run, message: str) -> None:
    run.emitter.emit(EventKind.LOG, message, severity=Severity.WARNING)
