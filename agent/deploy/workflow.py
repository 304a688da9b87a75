"""A deploy, from its request to its end: one durable step a state.

    queued → preflight → snapshot → backup → migrate → verify → succeeded
                 └── aborted / cancelled ──┘         └ fails ┐
                                            rolling_back → restoring → rolled_back | restored | needs_operator

Each step works in one state, records the transition itself and returns the state that follows. Steps are at least
once: one that finds its deploy elsewhere has done its work before, and only says where the deploy is now.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Any

from agent.core.models import EventKind, Failure, NewEvent, Severity, Snapshot, Strategy
from agent.core.planning import Plan
from agent.core.runbook import Runbook
from agent.core.states import FINAL, Move, State
from agent.core.units import count
from agent.deploy import advisors, api_checks, from_backup, from_platform, ladder, platform_watch
from agent.deploy.backup import take_backup
from agent.deploy.checking import after_commit, check, collect, what_was_checked
from agent.deploy.checklist import checklist
from agent.deploy.deps import Deps, Run, Stop, failure_of, watch_cancel
from agent.deploy.drift import tell_changes
from agent.deploy.emitter import Emitter
from agent.deploy.migrate import migrate
from agent.deploy.plan import make_plan
from agent.deploy.sending import with_hints
from agent.deploy.snapshot import application_schemas, exported, take_snapshot
from agent.deploy.soak import soak
from agent.deploy.tracing import span
from agent.errors import AgentError, PreflightError, StateError, StoreError
from agent.ports import Ctx, Session, trace_fields

if TYPE_CHECKING:
    from agent.core.platform import Call  # only who has a token pays for it


async def run_deploy(ctx: Ctx, deps: Deps) -> State:
    """Bring a deploy to its end.

    Args:
        ctx: the engine's durable steps.
        deps: the ports.

    Returns:
        The final state.

    Raises:
        StoreError: the agent's own store refused; the deploy stays where it is, for the next worker.
    """
    async with (
        Emitter(deps.store, deps.clock, ctx.deploy_id, redactor=deps.redactor) as emitter,
        AsyncExitStack() as resources,
    ):
        run = Run(deps=deps, deploy_id=ctx.deploy_id, emitter=emitter, resources=resources)
        if deps.platform is not None:
            deps.platform.on_call(lambda call: _keep(run, call))
        try:
            async with watch_cancel(run):
                state = State.QUEUED
                while state not in FINAL:
                    state = State(await ctx.step(state.value, _once(run, state)))
                return state
        finally:
            await asyncio.shield(run.drop_session())


def _keep(run: Run, call: Call) -> None:
    """A request to the platform, as evidence."""
    answer = f"HTTP {call.status}" if call.status is not None else "no answer"
    run.emitter.emit(
        EventKind.PLATFORM_CALL,
        f"{call.method} {call.path}: {answer} after {call.seconds:.2f} s",
        severity=Severity.WARNING if call.code else Severity.INFO,
        **call.model_dump(),
    )


def _once(run: Run, state: State) -> Callable[[], Awaitable[str]]:
    async def step() -> str:
        now = (await run.deps.store.get(run.deploy_id)).state
        if now is not state:
            return now.value
        began = run.deps.clock.now()
        with span(run.deps, f"step {state}", {"deploy_agent.deploy.id": run.deploy_id}) as traced:
            told = {"step": state.value, **trace_fields()}
            run.emitter.put(NewEvent(kind=EventKind.STEP_STARTED, message=f"{state}", at=began, data=told))
            after = await _guarded(run, state)
            if traced is not None and after not in _FORWARD:
                traced.fail(str(after))
        seconds = (run.deps.clock.now() - began).total_seconds()
        run.emitter.emit(
            EventKind.STEP_FINISHED,
            f"{state} took {seconds:.2f} s",
            step=state.value,
            seconds=seconds,
            ok=after in _FORWARD,
        )
        await run.emitter.flush()
        return after.value

    return step


async def _guarded(run: Run, state: State) -> State:
    """Run a step; whatever goes wrong in it takes the way that the state has for failures."""
    try:
        await _recall(run)
        return await _steps(run)[state](run)
    except Stop as stop:
        failure = stop.failure
    except (StoreError, StateError):
        raise
    except AgentError as error:
        failure = failure_of(error, cause=state.value if state in _BEFORE else "agent")
    except Exception as error:  # noqa: BLE001 - a bug must not leave a database half-way: it is undone like any failure
        failure = Failure(
            cause="agent",
            code="agent.bug",
            message=f"{type(error).__name__} in step {state}: {error}",
            hint="This is a bug in the agent; please report it with the deploy's events.",
        )
    return await _failed(run, state, failure)


async def _failed(run: Run, state: State, failure: Failure) -> State:
    failure = with_hints(run, failure)
    run.emitter.put(
        NewEvent(
            kind=EventKind.FAILURE,
            message=failure.message,
            at=run.deps.clock.now(),
            severity=Severity.ERROR,
            data=failure.model_dump(mode="json"),
        )
    )
    if state in _BEFORE:
        await _let_go(run)
        if failure.cause == "cancelled":
            return await run.move(state, Move.CANCEL, failure.message, failure=failure)
        return await run.move(state, Move.FAIL, failure.message, failure=failure)
    if state in (State.MIGRATE, State.VERIFY):
        return await run.move(state, Move.FAIL, failure.message, failure=failure)
    first = (await run.deps.store.get(run.deploy_id)).failure
    both = (first or failure).model_copy(
        update={
            "detail": f"could not be undone: {failure.message}",
            "hint": failure.hint or (first.hint if first else ""),
        }
    )
    return await run.move(state, Move.GIVE_UP, f"a person is needed: {failure.message}", failure=both)


async def _let_go(run: Run) -> None:
    """End the snapshot's transaction here: what is wrong with it is no news any more, and must not end the workflow."""
    run.held = None
    try:
        await run.resources.aclose()
    except AgentError as error:
        run.emitter.emit(EventKind.LOG, f"the snapshot's session did not end well: {error.message}")


async def _recall(run: Run) -> None:
    """Read back what earlier steps kept, after a change of workers: once, for what this worker does it knows."""
    if run.recalled:
        return
    store = run.deps.store
    if run.plan is None and (text := await store.get_evidence(run.deploy_id, "plan")):
        run.plan = Plan.unpacked(text)
    if run.runbook is None and (text := await store.get_evidence(run.deploy_id, "runbook")):
        run.runbook = Runbook.model_validate_json(text)
    if run.before is None and (text := await store.get_evidence(run.deploy_id, "snapshot")):
        run.before = Snapshot.model_validate_json(text)
    run.recalled = True


async def _start(run: Run) -> State:
    run.cancel_reason = (await run.deps.store.get(run.deploy_id)).cancel_reason
    run.check_cancelled()
    return await run.move(State.QUEUED, Move.START, "a worker has picked the deploy up")


async def _preflight(run: Run) -> State:
    deps = run.deps
    request = (await deps.store.get(run.deploy_id)).request
    runbook = run.runbook = deps.read_runbook()  # first: its hints are for what fails from here on
    if runbook is not None:
        await deps.store.put_evidence(run.deploy_id, "runbook", runbook.model_dump_json())
    session = await run.session()
    plan = await make_plan(session, deps, request, runbook)
    if request.plan_fingerprint and request.plan_fingerprint != plan.fingerprint:
        raise PreflightError(
            "the plan has changed since it was approved: other files, other history or other options",
            code="preflight.plan_changed",
            hint="Run `deploy-agent plan` again and deploy what it shows.",
        )
    run.plan = plan
    await deps.store.put_evidence(run.deploy_id, "plan", plan.packed())
    findings = [*plan.findings]
    if not any(one.severity is Severity.ERROR for one in findings) and plan.scripts:
        findings += await checklist(deps, session, plan, runbook, run.emitter.put)
    if plan.scripts and not any(one.severity is Severity.ERROR for one in findings):
        phases = {"preflight", "final", *(f"migration:{one.migration.version}" for one in plan.scripts)}
        findings += await api_checks.not_ready(deps.api, runbook, phases)
        findings += await platform_watch.look_before(run)
        findings += await advisors.look_before(run, plan.strategy)
    for one in findings:
        run.emitter.emit(
            EventKind.FINDING, one.message, severity=one.severity, code=one.code, hint=one.hint, where=one.where
        )
    errors = [one for one in findings if one.severity is Severity.ERROR]
    if errors:
        first = errors[0]
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        raise Stop(
            Failure(
                cause="preflight",
                code=first.code,
                message=first.message + more,
                hint=first.hint,
                version=str(first.where.get("version", "")),
                file=str(first.where.get("file", "")),
            )
        )
    run.check_cancelled()
    fields: dict[str, Any] = {"strategy": plan.strategy, "versions": [one.migration.version for one in plan.scripts]}
    if not plan.scripts:
        return await run.move(
            State.PREFLIGHT, Move.NOTHING_TO_DO, "nothing to do: all migrations are applied", **fields
        )
    return await run.move(State.PREFLIGHT, Move.CLEAR, "nothing is in the way", **fields)


async def _snapshot(run: Run) -> State:
    await _hold_snapshot(run)
    run.check_cancelled()
    return await run.move(State.SNAPSHOT, Move.SNAPPED, "the snapshot is recorded")


async def _hold_snapshot(run: Run) -> tuple[Session, str]:
    """Read the snapshot in a transaction that stays open, so that the backup is taken of the very same moment."""
    if run.held is not None:
        return run.held
    began = run.deps.clock.now()
    session, snapshot_id = await run.resources.enter_async_context(exported(run.deps.target, purpose=run.purpose))
    schemas = await application_schemas(session, run.deps.options.schemas)
    before = await take_snapshot(session, schemas=schemas, runbook=run.runbook, now=began)
    await run.deps.store.put_evidence(run.deploy_id, "snapshot", before.model_dump_json())
    rows = sum(mark.rows for mark in before.tables.values())
    objects = count(len(before.catalog), "object")
    run.emitter.emit(
        EventKind.SNAPSHOT,
        f"{count(len(before.tables), 'table')} with {count(rows, 'row')} and {objects} recorded",
        tables=len(before.tables),
        rows=rows,
        bytes=sum(mark.bytes for mark in before.tables.values()),
        values=before.values,
        seconds=(run.deps.clock.now() - began).total_seconds(),
    )
    run.before = before
    run.held = (session, snapshot_id)
    return run.held


async def _backup(run: Run) -> State:
    session, snapshot_id = await _hold_snapshot(run)
    assert run.before is not None  # noqa: S101 - just read
    record = await take_backup(
        session=session,
        snapshot_id=snapshot_id,
        snapshot=run.before,
        target=run.deps.target,
        tools=run.deps.tools,
        objects=run.deps.objects,
        store=run.deps.store,
        clock=run.deps.clock,
        project=run.deps.options.project,
        deploy_id=run.deploy_id,
        options=run.deps.backup,
        emit=run.emitter.put,
    )
    run.held = None
    await run.resources.aclose()
    run.check_cancelled()
    return await run.move(State.BACKUP, Move.BACKED_UP, f"backup {record.id} is published", backup_id=record.id)


async def _migrate(run: Run) -> State:
    async with platform_watch.sampling(run):
        await migrate(run)
    assert run.plan is not None  # noqa: S101 - recalled
    return await run.move(State.MIGRATE, Move.APPLIED, f"{count(len(run.plan.scripts), 'migration')} applied")


async def _verify(run: Run) -> State:
    assert run.plan is not None  # noqa: S101 - recalled
    session = await run.clean_session()
    await api_checks.reload(session, run.runbook)
    for script in run.plan.scripts:
        version = script.migration.version
        entry = run.runbook.for_version(version) if run.runbook else None
        await check(run, session, after_commit(entry.checks if entry else ()), phase=f"migration:{version}")
    checks = list(run.runbook.checks) if run.runbook else []
    if run.plan.strategy is Strategy.ATOMIC:
        checks = after_commit(checks)  # the others have passed before COMMIT, on what was then committed
    await check(run, session, checks, phase="final")
    await advisors.look_after(run)
    watch = platform_watch.Watch.of(run)
    await platform_watch.judge(run, watch)
    if soaked := await soak(run, watch):
        session = await run.clean_session()
    await collect(run, session)
    await tell_changes(run, session)
    await ladder.clean_up(run, succeeded=True)
    return await run.move(State.VERIFY, Move.PASSED, f"{await what_was_checked(run)}{soaked}")


async def _roll_back(run: Run) -> State:
    failure = (await run.deps.store.get(run.deploy_id)).failure
    run.cancel_reason = ""  # undoing is never cancelled
    session = await ladder.shut_out(run)
    versions, partial = await ladder.remains(run, session)
    if not versions and not partial:
        proven, found, in_doubt = await ladder.rollback_rung(run, session)
        if not proven and not in_doubt:
            raise Stop(_changed_by_others(found.all))
        partial = not proven
    if not versions and not partial:
        await ladder.clean_up(run, succeeded=False)
        if failure is not None and failure.cause == "cancelled":
            return await run.move(State.ROLLING_BACK, Move.CANCEL, "cancelled; the database is as it was before")
        return await run.move(State.ROLLING_BACK, Move.UNDONE, "rolled back; the database is as it was before")
    await ladder.refuse_to_undo_others(run, session)
    if not partial and await ladder.scripts_rung(run, session, versions):
        await ladder.clean_up(run, succeeded=False)
        return await run.move(
            State.ROLLING_BACK, Move.UNDONE, "undone by the rollback scripts; the database is as it was before"
        )
    return await run.move(State.ROLLING_BACK, Move.NOT_UNDONE, "what had committed is restored from the backup")


def _changed_by_others(lines: Sequence[str]) -> Failure:
    return Failure(
        cause="agent",
        code="rollback.not_proven",
        message=f"the deploy was rolled back whole, yet the database differs: {'; '.join(lines[:5])}",
        hint="Somebody else changed it meanwhile. Nothing was restored over their work; compare and decide.",
    )


async def _restore(run: Run) -> State:
    run.cancel_reason = ""  # restoring is never cancelled
    how = "restored from the backup"
    if await from_platform.under_way(run):
        failure, how = await from_platform.go_on(run), _BY_PLATFORM
    else:
        failure = await from_backup.restore(run)
        if failure is not None:
            failure, how = await from_platform.restore(run, failure), _BY_PLATFORM
    if failure is not None:
        raise Stop(failure)
    await ladder.clean_up(run, succeeded=False)
    return await run.move(State.RESTORING, Move.RESTORED, f"{how}; the database is as it was before")


_BY_PLATFORM = "restored by the platform"


_STEPS: Mapping[State, Callable[[Run], Awaitable[State]]] = {
    State.QUEUED: _start,
    State.PREFLIGHT: _preflight,
    State.SNAPSHOT: _snapshot,
    State.BACKUP: _backup,
    State.MIGRATE: _migrate,
    State.VERIFY: _verify,
    State.ROLLING_BACK: _roll_back,
    State.RESTORING: _restore,
}


def _steps(run: Run) -> Mapping[State, Callable[[Run], Awaitable[State]]]:
    if not run.deps.options.via_api:
        return _STEPS
    from agent.deploy import via_api  # noqa: PLC0415 - few need it

    return {**_STEPS, **via_api.STEPS}


_BEFORE = frozenset({State.QUEUED, State.PREFLIGHT, State.SNAPSHOT, State.BACKUP})
_FORWARD = frozenset(
    {
        State.PREFLIGHT,
        State.SNAPSHOT,
        State.BACKUP,
        State.MIGRATE,
        State.VERIFY,
        State.SUCCEEDED,
        State.ROLLED_BACK,
        State.RESTORED,
    }
)
