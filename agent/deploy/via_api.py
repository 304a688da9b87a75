"""A deploy where there is no connection to the database: everything that changes it is one request to the platform.

Files, their history rows and the checks that the server can judge are one transaction. It takes the deploy lock, and
ends itself where it begins or ends too late. So a request that was never answered is no riddle: once the lock is free
and that time is over, the history says whether it is in, for good. It is noted before it is sent; a worker that finds
the note looks first.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta

from agent import sql
from agent.core import via_api as core
from agent.core.checks import Check
from agent.core.inside import inside
from agent.core.models import CheckResult, EventKind, Failure, Finding, Severity, Snapshot, Verdict
from agent.core.preflight import failed_checks, no_token
from agent.core.runbook import Runbook
from agent.core.scripts import Script
from agent.core.statements import dollar_tag
from agent.core.states import Move, State
from agent.core.via_api import Sent
from agent.deploy import advisors, platform_watch
from agent.deploy.checking import check, collect, failed_check, what_was_checked
from agent.deploy.checks import check_event, read_values, run_checks
from agent.deploy.deps import Deps, Run, Stop, failure_of
from agent.deploy.drift import tell_changes
from agent.deploy.emitter import Emit
from agent.deploy.sending import announce, applied, history_row
from agent.deploy.snapshot import application_schemas, read_catalog, read_history
from agent.errors import PlatformError, StatementError
from agent.ports import Platform, Session

_SENT = "via_api_sent"
_LOCKED, _OTHER_HISTORY, _LATE, _CHECK = "DA010", "DA011", "DA012", "DA013"  # sql/via_api
_CODES = {_LOCKED: "busy.locked", _OTHER_HISTORY: "deploy.api_history_changed", _LATE: "deploy.api_too_late"}
_LOCK_NOT_AVAILABLE = frozenset({"55P03", "40P01", "40001"})  # the transaction is gone whole: it may be sent again


async def look(deps: Deps, session: Session, runbook: Runbook | None, emit: Emit) -> list[Finding]:
    """The checklist before a deploy, as far as it can be looked at over the API."""
    platform, required = deps.platform, deps.options.platform_required
    if platform is None:
        return no_token(deps.options.ref, required=True)
    from agent.deploy.platform import Connected, look_at_platform  # noqa: PLC0415 - only who has a token pays for it

    now = deps.clock.now()
    major = int(await session.value(sql.load("target/major")))
    connected = Connected(host="", address="", major=major)
    findings = await look_at_platform(platform, connected, now=now, required=required)
    try:
        found = await platform.backups()
    except PlatformError:  # look_at_platform has said so
        found = None
    findings.append(core.no_backup(found, now=now, required=required))
    findings.append(
        Finding(
            code="preflight.via_api",
            severity=Severity.INFO,
            message="not looked at over the Management API: privileges, locks, long transactions, replication, the "
            "backup target and its tools",
        )
    )
    if runbook is not None and runbook.preflight.checks:
        results = await run_checks(
            session,
            runbook.preflight.checks,
            phase="preflight",
            before={},
            clock=deps.clock,
            http=deps.http,
            api=deps.api,
            emit=emit,
            snapshot=runbook.snapshot,
        )
        findings += failed_checks(results)
    return findings


async def _snapshot(run: Run) -> State:
    session, now = await run.session(), run.deps.clock.now()
    values = await read_values(session, run.runbook.snapshot) if run.runbook else {}
    async with session.transaction(read_only=True):
        catalog = await read_catalog(session, await application_schemas(session, run.deps.options.schemas))
        history = tuple(row.version for row in await read_history(session))
    run.before = Snapshot(
        taken_at=now, values=values, tables={}, catalog=catalog, sequences={}, history=history, outside={}
    )
    await run.deps.store.put_evidence(run.deploy_id, "snapshot", run.before.model_dump_json())
    run.emitter.emit(
        EventKind.SNAPSHOT,
        f"{len(catalog):,} objects recorded; rows are not counted over the Management API",
        tables=0,
        rows=0,
        bytes=0,
        values=values,
        seconds=(run.deps.clock.now() - now).total_seconds(),
    )
    run.check_cancelled()
    return await run.move(State.SNAPSHOT, Move.SNAPPED, "the snapshot is recorded")


async def _backup(run: Run) -> State:
    run.check_cancelled()
    return await run.move(State.BACKUP, Move.BACKED_UP, "no backup: none can be taken over the Management API")


async def _migrate(run: Run) -> State:
    assert run.plan is not None  # noqa: S101 - recalled
    scripts, began = run.plan.scripts, run.deps.clock.now()
    async with platform_watch.sampling(run):
        sent = await _sent(run)
        if sent is None or not await _landed(run, sent):
            run.check_cancelled()
            await _send(run, scripts)
    applied(run, scripts, began)
    for phase, one in _early(run):
        run.emitter.put(check_event(_result(run, one, phase, Verdict.PASSED, "it held before COMMIT"), run.deps.clock))
    return await run.move(State.MIGRATE, Move.APPLIED, f"{len(scripts)} applied in one request")


async def _verify(run: Run) -> State:
    assert run.plan is not None and run.before is not None  # noqa: S101, PT018 - recalled
    session, runbook = await run.session(), run.runbook
    for script in run.plan.scripts:
        version = script.migration.version
        await check(run, session, _late(run, _own(run, script)), phase=f"migration:{version}")
    await check(run, session, _late(run, runbook.checks if runbook else ()), phase="final")
    await advisors.look_after(run)
    await platform_watch.judge(run, platform_watch.Watch.of(run))
    await collect(run, session)
    await tell_changes(run, session)
    return await run.move(State.VERIFY, Move.PASSED, await what_was_checked(run))


async def _roll_back(run: Run) -> State:
    """Nothing is undone here: either the one transaction is in, or it never was."""
    failure = (await run.deps.store.get(run.deploy_id)).failure
    run.cancel_reason = ""
    sent = await _sent(run)
    if sent is not None and await _landed(run, sent):
        raise Stop(
            Failure(
                cause="agent",
                code="deploy.api_committed",
                message="the migrations are committed, and there is no backup to restore: none is taken over the "
                "Management API",
                hint=core.way_back(_platform(run).ref, sent),
            )
        )
    if failure is not None and failure.cause == "cancelled":
        return await run.move(State.ROLLING_BACK, Move.CANCEL, "cancelled; nothing was committed")
    return await run.move(State.ROLLING_BACK, Move.UNDONE, "nothing was committed; the database is as it was before")


STEPS: Mapping[State, Callable[[Run], Awaitable[State]]] = {
    State.SNAPSHOT: _snapshot,
    State.BACKUP: _backup,
    State.MIGRATE: _migrate,
    State.VERIFY: _verify,
    State.ROLLING_BACK: _roll_back,
}
"""What is another step than where there is a connection."""


async def _send(run: Run, scripts: Sequence[Script]) -> None:
    """Send it all, again while only a lock was in the way.

    Raises:
        Stop: it is not in, or nobody knows.
    """
    options = run.deps.options
    announce(run, scripts[0], others=len(scripts) - 1)
    for attempt in range(1, options.lock_attempts + 1):
        try:
            await _send_once(run, scripts)
        except Stop as stop:
            if stop.failure.sqlstate not in _LOCK_NOT_AVAILABLE or attempt == options.lock_attempts:
                raise
            seconds = min(30.0, 2.0 ** (attempt - 1)) * (0.5 + run.deps.jitter())
            run.emitter.emit(
                EventKind.LOCK_WAIT,
                f"{stop.failure.message}; rolled back, attempt {attempt + 1} of {options.lock_attempts} "
                f"in {seconds:.1f} s",
                severity=Severity.WARNING,
                version=scripts[0].migration.version,
                attempt=attempt,
                blockers=[],
            )
            await run.pause(seconds)
        else:
            return


async def _send_once(run: Run, scripts: Sequence[Script]) -> None:
    session, platform = await run.session(), _platform(run)
    now = float(await session.value(sql.load("platform/clock")))
    versions = tuple(script.migration.version for script in scripts)
    sent = Sent(at=now, until=now + run.deps.options.via_api_limit_s, versions=versions)
    text = await _text(run, session, scripts, sent)
    await run.emitter.flush()
    await run.deps.store.put_evidence(run.deploy_id, _SENT, sent.model_dump_json())
    try:
        await platform.query(text)
    except StatementError as error:
        await _forget(run)
        raise Stop(_refused(run, scripts, error)) from error
    except PlatformError as error:
        if not error.in_doubt:
            await _forget(run)
            raise Stop(failure_of(error)) from error
        message = f"nobody knows yet whether the migrations are in, and they are not sent again: {error.message}"
        run.emitter.emit(EventKind.LOG, message, severity=Severity.WARNING)
        if not await _landed(run, sent):
            failure = Failure(
                cause="lost_connection",
                code="deploy.api_not_applied",
                message=f"the request was lost, and nothing of it is in: {error.message}",
                hint="Run `deploy-agent deploy` again.",
            )
            raise Stop(failure) from error


async def _text(run: Run, session: Session, scripts: Sequence[Script], sent: Sent) -> str:
    """All that is sent, for the simple query protocol."""
    assert run.plan is not None  # noqa: S101 - recalled
    options = run.deps.options
    timeout_ms = round(options.via_api_limit_s * 1000)
    parts = [
        session.bind(
            sql.load("via_api/begin"),
            {"timeout_ms": timeout_ms, "lock_ms": round(options.lock_timeout_s * 1000), "until": sent.until},
        )
    ]
    columns = {row["name"] for row in await session.rows(sql.load("history/shape"))}
    if not {"version", "name", "statements"} <= columns:
        parts.append(sql.load("history/create"))
    parts.append(session.bind(sql.load("via_api/same_history"), {"versions": list(run.plan.applied)}))
    for script in scripts:
        parts += [piece.text for piece in script.pieces]
        parts += history_row(session, script)
        if any(fact.sets_session for fact in script.facts):
            parts.append("RESET ALL")
            parts.append(f"SET LOCAL statement_timeout = {timeout_ms}")
            parts.append(f"SET LOCAL lock_timeout = {round(options.lock_timeout_s * 1000)}")
        for one in _inside(run, _own(run, script)):
            parts += _check(run, session, one, f"migration:{script.migration.version}")
    for one in _inside(run, run.runbook.checks if run.runbook else ()):
        parts += _check(run, session, one, "final")
    parts.append(session.bind(sql.load("via_api/end"), {"until": sent.until, "versions": list(sent.versions)}))
    parts.append("COMMIT")
    return "\n;\n".join(parts)


def _check(run: Run, session: Session, one: Check, phase: str) -> list[str]:
    """One check in a savepoint, held read-only."""
    condition = inside(one, _values(run))
    assert condition is not None and one.sql is not None  # noqa: S101, PT018 - the caller chose it
    query = one.sql.strip().rstrip(";")
    name = session.bind("%(id)s", {"id": f"{phase} {one.id}"})
    tag = dollar_tag(query, condition.holds, name)
    text = sql.load("via_api/check")
    for place, what in (("{tag}", tag), ("{id}", name), ("{holds}", condition.holds), ("{query}", query)):
        text = text.replace(place, what)
    limit_ms = round(min(one.timeout, run.deps.options.via_api_limit_s) * 1000)
    return [
        "SAVEPOINT deploy_agent_check",
        sql.load("checks/read_only"),
        f"SET LOCAL statement_timeout = {limit_ms}",
        text,
        "ROLLBACK TO SAVEPOINT deploy_agent_check",
    ]


def _refused(run: Run, scripts: Sequence[Script], error: StatementError) -> Failure:
    """The database has rolled it all back: why."""
    if error.sqlstate == _CHECK:
        phase, _, id_ = error.message.partition(" ")
        for told, one in _early(run):
            if (told, one.id) == (phase, id_):
                result = _result(run, one, phase, Verdict.FAILED, error.detail)
                run.emitter.put(check_event(result, run.deps.clock))
                return failed_check(run, [result])
    if error.sqlstate in _CODES:
        hint = "Run `deploy-agent plan` again, and deploy what it shows."
        if error.sqlstate == _LOCKED:
            hint = "Wait for it to end, or cancel it where it was started."
        if error.sqlstate == _LATE:
            hint = "Deploy fewer files at once (`--until`), or with deploy.via: database."
        return Failure(cause="agent", code=_CODES[error.sqlstate], message=error.message, hint=hint)
    if len(scripts) == 1:
        only = scripts[0].migration
        return failure_of(error, cause="statement", version=only.version, file=only.file)
    failure = failure_of(error, cause="statement")
    named = f"{scripts[0].migration.file} to {scripts[-1].migration.file}"
    hint = "Over the Management API the server does not say which file it was: deploy them one by one (`--until`)."
    return failure.model_copy(
        update={"message": f"one of {len(scripts)} files, {named}: {error.message}", "hint": failure.hint or hint}
    )


async def _landed(run: Run, sent: Sent) -> bool:
    """Whether it is committed, once that cannot change any more.

    Raises:
        Stop: nobody can tell in time.
    """
    clock, options = run.deps.clock, run.deps.options
    give_up = clock.now() + timedelta(seconds=options.via_api_limit_s + options.via_api_doubt_s)
    why = "its transaction is still open"
    while True:
        try:
            session = await run.session()
            [state] = await session.rows(sql.load("via_api/state"))  # first: what commits behind it is no riddle
            versions = {row.version for row in await read_history(session)}
            if set(sent.versions) <= versions:
                _tell(run, sent, "has them")
                return True
            if not state["held"] and not state["replica"] and state["now"] > sent.until:
                _tell(run, sent, "has none of them")
                await _forget(run)
                return False
        except PlatformError as error:
            why = error.message
        if clock.now() >= give_up:
            raise Stop(
                Failure(
                    cause="agent",
                    code="deploy.api_in_doubt",
                    message=f"nobody can tell whether the migrations are in: {why}",
                    hint=core.way_to_look(_platform(run).ref),
                )
            )
        await clock.sleep(options.poll_s)


def _tell(run: Run, sent: Sent, what: str) -> None:
    run.emitter.emit(EventKind.LOG, f"the history {what}: {', '.join(sent.versions)}")


async def _sent(run: Run) -> Sent | None:
    text = await run.deps.store.get_evidence(run.deploy_id, _SENT)
    return Sent.model_validate_json(text) if text else None


async def _forget(run: Run) -> None:
    """What was sent is not in, for good."""
    await run.deps.store.put_evidence(run.deploy_id, _SENT, "")


def _platform(run: Run) -> Platform:
    assert run.deps.platform is not None  # noqa: S101 - the settings demand a token
    return run.deps.platform


def _values(run: Run) -> Mapping[str, object]:
    return run.before.values if run.before else {}


def _own(run: Run, script: Script) -> Sequence[Check]:
    entry = run.runbook.for_version(script.migration.version) if run.runbook else None
    return entry.checks if entry else ()


def _inside(run: Run, checks: Sequence[Check]) -> list[Check]:
    return core.split_checks(checks, _values(run))[0]


def _late(run: Run, checks: Sequence[Check]) -> list[Check]:
    return core.split_checks(checks, _values(run))[1]


def _early(run: Run) -> list[tuple[str, Check]]:
    """Phase and check of all that are judged before COMMIT, in their order."""
    assert run.plan is not None  # noqa: S101 - recalled
    found = [
        (f"migration:{script.migration.version}", one)
        for script in run.plan.scripts
        for one in _inside(run, _own(run, script))
    ]
    return found + [("final", one) for one in _inside(run, run.runbook.checks if run.runbook else ())]


def _result(run: Run, one: Check, phase: str, verdict: Verdict, observed: str) -> CheckResult:
    condition = inside(one, _values(run))
    return CheckResult(
        id=one.id,
        title=one.title,
        phase=phase,
        verdict=verdict,
        severity=one.severity,
        expected=condition.words if condition else "",
        observed=observed,
        hint=one.hint,
        seconds=0.0,
    )
