"""Rung 5 of the ladder: the platform brings the whole project back to the moment before the first migration.

What it is asked for is noted before it is asked, so that nobody asks twice: a worker that comes after a dead one only
looks. While the old database is still there, its tables are locked against writers, from before the salvage was read:
no row is written that is in neither. The connection that holds the locks ends with the database.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from agent import sql
from agent.core import platform_restore as core
from agent.core.backups import Manifest, prefix
from agent.core.models import EventKind, Failure, Proposal, Severity
from agent.core.platform_restore import Asked, Moment, Sight, Way
from agent.core.restore_policy import PLATFORM, RUNG_NAMES, setting_for
from agent.core.salvage import id_of, manifests, place
from agent.core.units import count, duration
from agent.deploy.approval import permitted, policy_of
from agent.deploy.carrying import LOCKED, TRANSACTION_TIMEOUT_SINCE, explained, watching
from agent.deploy.deps import Run, failure_of
from agent.deploy.events import read_events
from agent.deploy.ladder import compare, report_rung
from agent.deploy.moment import noted_moment, obstacles
from agent.deploy.salvage import Taken, take_salvage
from agent.deploy.snapshot import application_schemas, schemas_of
from agent.errors import AgentError, BusyError, PlatformError, StateError, StatementError, StoreError, TargetError
from agent.ports import Platform, Row, Session

_ASKED = "platform_restore"
_PROVEN = "platform_restore_proven"
_MANAGED = ("auth", "storage")  # of Supabase's own schemas those with rows that users of the application make
_DATABASE = ("db", "db_postgres_user", "pooler")


class _NotPossible(Exception):  # noqa: N818 - the ladder ends here
    """The platform was not asked; nothing was changed."""


@dataclass(frozen=True, kw_only=True)
class _Order:
    """What the platform would be asked for."""

    platform: Platform
    moment: Moment
    way: Way


async def under_way(run: Run) -> bool:
    """Whether the platform has been asked, by whatever worker: then there is no way but to look."""
    return await _asked(run) is not None


async def restore(run: Run, failure: Failure) -> Failure | None:
    """Ask the platform, where the policy allows it, and wait until the project is back.

    Args:
        failure: why the rungs below did not bring the database back.

    Returns:
        None if the database is proven to be as before; else why it is not.

    Raises:
        Stop: the policy leaves it to people, or they said no.
        StoreError: the agent's own store refused.
    """
    if setting_for(PLATFORM, policy_of(run))[1] == "hold":
        return failure
    try:
        return await _ordered(run)
    except _NotPossible as reason:
        why = f"is not possible: {reason}"
    except (StoreError, StateError):
        raise
    except AgentError as error:
        if await under_way(run):
            raise
        why = f"failed before the platform was asked: {error.message}"
    report_rung(run, PLATFORM, RUNG_NAMES[PLATFORM], None, message=f"{RUNG_NAMES[PLATFORM]} {why}")
    return failure.model_copy(update={"message": f"{failure.message}; the {RUNG_NAMES[PLATFORM]} {why}"})


async def go_on(run: Run) -> Failure | None:
    """After a change of workers: the platform has been asked, or may have been. It is looked at, and not asked again.

    Returns:
        As `restore`.
    """
    asked, platform = await _asked(run), run.deps.platform
    assert asked is not None  # noqa: S101 - under_way has said so
    if await run.deps.store.get_evidence(run.deploy_id, _PROVEN):
        return None
    if platform is None:
        return Failure(
            cause="agent",
            code="restore.platform_in_doubt",
            message="the platform was asked to restore the project, and the agent has no token any more to look at it",
            hint=f"Set platform.token. Else look at the dashboard. {core.DOCS}",
        )
    message = "going on with the platform's restore, which was asked for before; it is not asked again"
    run.emitter.emit(EventKind.LOG, message, severity=Severity.WARNING)
    await run.drop_session()
    if (await _look(run, platform, asked)).database != "old":
        return await _ended(run, platform, asked)
    try:
        async with _held(run) as holder:
            await _salvaged(run, holder, asked.moment)  # what was written while nobody held the tables
            return await _ended(run, platform, asked)
    except TargetError as error:  # it goes away right now
        run.emitter.emit(EventKind.LOG, f"no salvage of what was written meanwhile: {error.message}")
    return await _ended(run, platform, asked)


async def _ordered(run: Run) -> Failure | None:
    taken: Taken | None = None
    while True:
        order = await _order(run)
        session = await run.clean_session()
        async with session.transaction(read_only=True, repeatable=True):
            taken = await _salvaged(run, session, order.moment, instead_of=taken)
        if not await permitted(run, await _proposal(run, order, taken)):
            break
    async with _held(run) as holder:
        await _salvaged(run, holder, order.moment, instead_of=taken)
        asked = await _ask(run, order)
        return await _ended(run, order.platform, asked)


async def _order(run: Run) -> _Order:
    """What to ask for.

    Raises:
        _NotPossible: the platform cannot do it, or must not.
    """
    platform, moment = run.deps.platform, await noted_moment(run)
    if platform is None:
        raise _NotPossible("the agent has no token for the platform")
    if moment is None or not moment.second:
        raise _NotPossible("no moment was noted before the first migration")
    if run.deps.options.platform_restore.store_within:
        raise _NotPossible("the agent's own store is on the same server, and would go back with it")
    session = await run.clean_session()
    if blocked := await obstacles(run, session):
        raise _NotPossible(f"the project has {blocked}")
    if await session.value(sql.load("salvage/late_exists")):
        raise _NotPossible("rows in supabase_migrations.deploy_agent_late are in no salvage yet")
    try:
        project = await platform.project()
        if not project.healthy:
            raise _NotPossible(f"the project is {project.status}")
        if moment.point and await _has_point(run, platform, moment):
            return _Order(platform=platform, moment=moment, way="undo")
        await _wait_for_window(run, platform, moment)
    except PlatformError as error:
        raise _NotPossible(error.message) from error
    return _Order(platform=platform, moment=moment, way="pitr")


async def _has_point(run: Run, platform: Platform, moment: Moment) -> bool:
    """Whether the restore point can be gone back to; where nobody knows, there may still be the second."""
    try:
        return (await platform.restore_point(moment.point)).available
    except PlatformError as error:
        message = f"the restore point {moment.point} cannot be looked at: {error.message}"
        run.emitter.emit(EventKind.LOG, message, severity=Severity.WARNING)
        return False


async def _wait_for_window(run: Run, platform: Platform, moment: Moment) -> None:
    """Until the second can be restored: the log is shipped every two minutes."""
    options, clock = run.deps.options.platform_restore, run.deps.clock
    until = clock.now() + timedelta(seconds=options.window_s)
    told = False
    while True:
        backups = await platform.backups()
        window = backups.window
        match core.reach(backups, moment.second):
            case "ready":
                return
            case "no_pitr":
                raise _NotPossible("the project has neither a restore point that can be used nor PITR")
            case "gone":
                raise _NotPossible(f"{core.in_words('pitr', moment)} is before the first moment that it can restore")
        if clock.now() >= until:
            raise _NotPossible(
                f"{core.in_words('pitr', moment)} cannot be restored yet after {duration(options.window_s)}: "
                f"the newest moment that can is {window.latest}"
            )
        if not told:
            message = f"waiting until the platform can restore to {core.in_words('pitr', moment)}"
            _tell(run, "waiting", "pitr", moment, message)
            told = True
        await clock.sleep(options.poll_s)


async def _proposal(run: Run, order: _Order, taken: Taken) -> Proposal:
    assert run.before is not None  # noqa: S101 - set before migrate
    deploy = await run.deps.store.get(run.deploy_id)
    return Proposal(
        rung=PLATFORM,
        backup_id=deploy.backup_id,
        undone=tuple(f"migration {version}" for version in deploy.versions),
        rows_salvaged=taken.salvage.rows if taken.salvage else 0,
        lost_unknown=True,
        seconds=core.estimate(sum(mark.bytes for mark in run.before.tables.values())),
        way=core.proposed(order.way, order.moment),
    )


async def _salvaged(run: Run, session: Session, moment: Moment, *, instead_of: Taken | None = None) -> Taken:
    """Keep the rows that were written since the moment, in the transaction that is open, also of Supabase's own."""
    assert run.before is not None  # noqa: S101 - set before migrate
    deploy, now = await run.deps.store.get(run.deploy_id), run.deps.clock.now()
    since = Manifest(
        id=deploy.backup_id or run.deploy_id,
        project=run.deps.options.project,
        target=run.deps.target.label,
        created_at=now,
        finished_at=now,
        agent_version="",
        tool_version="",
        server_version="",
        lsn="",
        snapshot_id="",
        schemas=tuple(schemas_of(run.before)),
        all_schemas=(),
        snapshot=moment.snapshot,
        files=(),
    )
    taken = await take_salvage(
        session=session,
        target=run.deps.target,
        purpose=run.purpose,
        objects=run.deps.objects,
        manifest=since,
        options=run.deps.backup,
        deploy_id=run.deploy_id,
        tables=None,
        clock=run.deps.clock,
        emit=run.emitter.put,
        beside=_MANAGED,
        what=f"written since {moment.at:%Y-%m-%d %H:%M:%S} UTC",
    )
    if instead_of is not None and instead_of.salvage is not None:
        await run.deps.objects.delete(place(instead_of.salvage))
    return taken


async def _rows_kept(run: Run) -> int:
    """Rows in all salvages of this deploy, also those of the rungs below; one may be in several."""
    await run.emitter.flush()
    backup_id = (await run.deps.store.get(run.deploy_id)).backup_id or run.deploy_id
    there = {id_of(key) for key in manifests(await run.deps.objects.keys(prefix(run.deps.options.project, backup_id)))}
    told = [event.data for event in await read_events(run.deps.store, run.deploy_id)]
    rows = {str(data["salvage"]): int(data["rows"]) for data in told if "salvage" in data}
    return sum(rows.get(salvage, 0) for salvage in there)


@asynccontextmanager
async def _held(run: Run) -> AsyncIterator[Session]:
    """A session in a transaction that keeps writers out of the tables; the snapshot is taken once they are out.

    Raises:
        TargetError: `restore.locked` and its kin: the locks are not to be had; nothing is held.
    """
    deps = run.deps
    holder = await deps.target.connect(purpose="tools")  # as what waits for locks is called in sql/restore/blocking.sql
    try:
        for attempt in range(1, deps.backup.lock_attempts + 1):
            blockers: list[Row] = []
            try:
                async with watching(deps.target, run.purpose, deps.clock, run.emitter.put, blockers, attempt=attempt):
                    await _lock(run, holder)
                break
            except StatementError as error:
                await holder.run("ROLLBACK")
                if error.sqlstate not in LOCKED or attempt == deps.backup.lock_attempts:
                    raise explained(error, blockers) from error
        yield holder
    finally:
        await holder.close()


async def _lock(run: Run, holder: Session) -> None:
    schemas = {*await application_schemas(holder, run.deps.options.schemas), *_MANAGED}
    [tables] = await holder.rows(sql.load("platform/tables"), {"schemas": sorted(schemas)})
    major = await holder.value(sql.load("target/major"))
    await holder.run(sql.load("platform/hold"))
    if major >= TRANSACTION_TIMEOUT_SINCE:
        await holder.run(sql.load("restore/begin_17"))
    ms = round(run.deps.backup.lock_timeout_s * 1000)
    await holder.run(holder.bind(sql.load("restore/lock_timeout"), {"ms": ms}))
    if tables["lock"]:
        await holder.run(tables["lock"])
    if tables["others"]:
        message = (
            f"the agent may not lock {', '.join(tables['others'][:5])}: what is written there from now on may be lost"
        )
        run.emitter.emit(EventKind.LOG, message, severity=Severity.WARNING)


async def _ask(run: Run, order: _Order) -> Asked:
    """Ask the platform, once.

    Raises:
        _NotPossible: it has refused, so nothing happens.
    """
    noted = await _fence(run, await run.session()) is not None
    asked = Asked(
        way=order.way,
        moment=order.moment,
        asked_at=run.deps.clock.now(),
        noted=noted,
        kept=await _rows_kept(run),
    )
    words = core.in_words(order.way, order.moment)
    _tell(run, "asked", order.way, order.moment, f"asking the platform to bring the project back to {words}")
    await run.emitter.flush()
    await _note(run, asked)
    try:
        if order.way == "undo":
            await order.platform.undo(order.moment.point)
        else:
            await order.platform.restore_pitr(order.moment.second)
    except PlatformError as error:
        if not error.in_doubt:
            await run.deps.store.put_evidence(run.deploy_id, _ASKED, "")
            _tell(run, "refused", order.way, order.moment, f"the platform refused: {error.message}", warn=True)
            raise _NotPossible(f"the platform refused: {error.message}") from error
        asked = asked.model_copy(update={"answer": "in_doubt", "said": error.message})
        message = (
            f"nobody knows yet whether the platform restores the project, and it is not asked again: {error.message}"
        )
        _tell(run, "in_doubt", order.way, order.moment, message, warn=True)
    else:
        asked = asked.model_copy(update={"answer": "accepted"})
        _tell(run, "accepted", order.way, order.moment, "the platform has accepted the restore")
    await _note(run, asked)
    await run.emitter.flush()
    return asked


async def _ended(run: Run, platform: Platform, asked: Asked) -> Failure | None:
    """Look until the project is back, or people are needed; then prove it."""
    failure = await _waited(run, platform, asked)
    if failure is None:
        await run.drop_session()  # it was one with the old database
        return await _proven(run, platform, asked)
    what = core.IN_SHORT[failure.code]
    report_rung(run, PLATFORM, RUNG_NAMES[PLATFORM], None, message=f"{RUNG_NAMES[PLATFORM]} {what}")
    return failure


async def _waited(run: Run, platform: Platform, asked: Asked) -> Failure | None:
    options, clock = run.deps.options.platform_restore, run.deps.clock
    began = last_sign = clock.now()
    # A worker that comes late looks for a while, too.
    until = max(asked.asked_at + timedelta(seconds=options.deadline_s), began + timedelta(seconds=options.begin_s))
    told: tuple[Sight | None, float] = (None, 0.0)
    while True:
        sight = await _look(run, platform, asked)
        now = clock.now()
        told = _tell_sight(run, asked, sight, told, every_s=options.tell_s)
        match core.judge_sight(sight):
            case "back":
                return None
            case "failed":
                return core.failed(platform.ref, asked, now=now)
            case "other":
                return core.wrong_moment(asked, await _what_is_there(run))
        if core.has_begun(sight):
            last_sign = now
        if now - last_sign >= timedelta(seconds=options.begin_s):
            return core.not_begun(platform.ref, asked, sight, now=now)
        if now >= until:
            return core.stuck(platform.ref, asked, sight, now=now)
        await clock.sleep(options.poll_s)


def _tell_sight(
    run: Run, asked: Asked, sight: Sight, told: tuple[Sight | None, float], *, every_s: float
) -> tuple[Sight | None, float]:
    """Tell what is seen where it is new, and once in a while; what was told, and when."""
    seconds = (run.deps.clock.now() - asked.asked_at).total_seconds()
    before = told[0]
    same = before is not None and (sight.status, sight.database) == (before.status, before.database)
    if same and seconds - told[1] < every_s:
        return told
    database = {
        "away": "takes no connection",
        "recovering": "reads its log",
        "old": "is the old one",
        "back": "is back",
        "other": "is another",
    }[sight.database]
    unknown = f"in an unknown state ({sight.why})" if sight.why else "in an unknown state"
    message = f"the project is {sight.status or unknown}, the database {database}, {duration(seconds)} on"
    _tell(run, "polling", asked.way, asked.moment, message, status=sight.status, seconds=seconds)
    return sight, seconds


async def _look(run: Run, platform: Platform, asked: Asked) -> Sight:
    """The project and its database now. Neither has to answer: that is how a restore looks."""
    why = ""
    try:
        status = (await platform.project()).status
    except PlatformError as error:
        status, why = "", error.message
    try:
        async with run.deps.target.session(purpose="look") as session:
            if await session.value(sql.load("platform/recovering")):
                return Sight(status=status, database="recovering", why=why)
            fence = await _fence(run, session)
    except TargetError as error:
        return Sight(status=status, database="away", why="; ".join(one for one in (why, error.message) if one))
    if fence is None:
        return Sight(status=status, database="other" if asked.noted else "old", why=why)
    if fence["state"] == "closed":
        return Sight(status=status, database="old", why=why)
    return Sight(status=status, database="other" if fence["begun"] else "back", why=why)


async def _fence(run: Run, session: Session) -> Row | None:
    """The deploy's fence in this database, and whether migrations had begun; None: it has none."""
    if not await session.value(sql.load("ledger/exists")):
        return None
    [found] = await session.rows(sql.load("platform/fence"), {"deploy_id": run.deploy_id})
    return found if found["state"] else None


async def _what_is_there(run: Run) -> str:
    try:
        async with run.deps.target.session(purpose="look") as session:
            if await _fence(run, session) is None:
                return "it is at a moment before the deploy began, so what was written until then is missing"
    except TargetError as error:
        return error.message
    return "some of the deploy's migrations had begun at that moment"


async def _proven(run: Run, platform: Platform, asked: Asked) -> Failure | None:
    """Compare with the snapshot. The fence has said that no migration is in; rows that differ are others'."""
    try:
        session = await _session_again(run, asked)
        found = await compare(run, session)
    except (TargetError, BusyError) as error:
        message = f"{RUNG_NAMES[PLATFORM]}: the project is back, and it cannot be compared: {error.message}"
        report_rung(run, PLATFORM, RUNG_NAMES[PLATFORM], None, message=message)
        return failure_of(error)
    await _tell_health(run, platform)
    for line in found.content:
        run.emitter.emit(EventKind.LOG, f"written by others meanwhile: {line}")
    found = found.model_copy(update={"content": ()})
    seconds = (run.deps.clock.now() - asked.asked_at).total_seconds()
    rows = await _rows_kept(run)
    kept = f"; {count(rows, 'row')} written since the backup are in the deploy's salvages" if rows else ""
    words = core.in_words(asked.way, asked.moment)
    _tell(run, "back", asked.way, asked.moment, f"the project is back at {words}{kept}", seconds=seconds)
    if report_rung(run, PLATFORM, RUNG_NAMES[PLATFORM], found):
        await run.deps.store.put_evidence(run.deploy_id, _PROVEN, "true")
        return None
    return Failure(
        cause="agent",
        code="restore.not_proven",
        message=f"restored by the platform, but not equal to the snapshot: {'; '.join(found.all[:5])}",
        hint="Look at what is named before you let the application write again.",
    )


async def _session_again(run: Run, asked: Asked) -> Session:
    """The deploy's session with the database that is back; services that come up may take some tries."""
    options, clock = run.deps.options.platform_restore, run.deps.clock
    until = max(asked.asked_at + timedelta(seconds=options.deadline_s), clock.now())
    while True:
        try:
            return await run.session()
        except (TargetError, BusyError):
            if clock.now() >= until:
                raise
        await clock.sleep(options.poll_s)


async def _tell_health(run: Run, platform: Platform) -> None:
    """Services that are not well yet: news for people. That the database is, has been seen."""
    try:
        services = await platform.health(_DATABASE)
    except PlatformError as error:
        run.emitter.emit(EventKind.LOG, f"the health of the services cannot be read: {error.message}", code=error.code)
        return
    for one in services:
        if not one.healthy:
            message = f"after the restore {one.name} is {one.status}{f': {one.error}' if one.error else ''}"
            run.emitter.emit(EventKind.LOG, message, severity=Severity.WARNING)


async def _asked(run: Run) -> Asked | None:
    text = await run.deps.store.get_evidence(run.deploy_id, _ASKED)
    return Asked.model_validate_json(text) if text else None


async def _note(run: Run, asked: Asked) -> None:
    await run.deps.store.put_evidence(run.deploy_id, _ASKED, asked.model_dump_json())


def _tell(
    run: Run,
    phase: str,
    way: Way,
    moment: Moment,
    message: str,
    *,
    status: str = "",
    seconds: float = 0.0,
    warn: bool = False,
) -> None:
    run.emitter.emit(
        EventKind.PLATFORM_RESTORE,
        message,
        severity=Severity.WARNING if warn else Severity.INFO,
        phase=phase,
        way=way,
        point=moment.point,
        second=moment.second,
        status=status,
        seconds=round(seconds, 1),
    )
