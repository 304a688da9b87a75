"""What people and schedules may ask of the agent, over ports: each function is one request."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from agent import sql
from agent.core.aside import Aside
from agent.core.backups import SNAPSHOT
from agent.core.models import (
    BackupRecord,
    BackupState,
    CheckResult,
    Deploy,
    DeployRequest,
    Event,
    Finding,
    Severity,
)
from agent.core.planning import Plan
from agent.core.preflight import finding_of
from agent.core.states import FINAL, State
from agent.core.units import count
from agent.deploy.api_checks import not_ready
from agent.deploy.archive import load_manifest, opened
from agent.deploy.aside import restore_aside
from agent.deploy.backup import take_backup
from agent.deploy.checklist import checklist
from agent.deploy.checks import read_values, run_checks
from agent.deploy.deps import Deps, take_lock
from agent.deploy.emitter import Emit
from agent.deploy.events import read_events
from agent.deploy.late import Guard, keep_late
from agent.deploy.plan import make_plan
from agent.deploy.restore import backup_large_objects, restore_in_place
from agent.deploy.salvage import new_id
from agent.deploy.snapshot import application_schemas, exported, read_history, take_snapshot
from agent.errors import AgentError, BusyError, InputError, NotFoundError, PlatformError, WaitTimeoutError
from agent.ports import PgTools, Session, Target

OPEN_STATES = tuple(sorted(set(State) - FINAL))


def deploy_id(now: datetime, suffix: str) -> str:
    """A deploy's id: sorts by time, can be read aloud: `20260412-093015-k7qf`."""
    return f"{now:%Y%m%d-%H%M%S}-{suffix}"


async def plan(deps: Deps, request: DeployRequest) -> Plan:
    """What a deploy would do now; changes nothing."""
    async with deps.target.session(purpose="plan") as session:
        return await make_plan(session, deps, request, deps.read_runbook())


async def follow(
    deps: Deps,
    deploy: str,
    on_event: Callable[[Event], None],
    *,
    poll_s: float = 0.2,
    ending: asyncio.Task[None] | None = None,
) -> Deploy:
    """Hand over a deploy's events as they come, until it is final and all are handed over.

    Args:
        poll_s: seconds between two looks.
        ending: is done when the deploy's workflow has ended here: then there is a look at once.
    """
    seen = 0
    while True:
        current = await deps.store.get(deploy)
        for event in await read_events(deps.store, current.id, after=seen):
            on_event(event)
            seen = event.seq
        if current.is_final:
            return current
        if ending is None or ending.done():
            await deps.clock.sleep(poll_s)
        else:
            await asyncio.wait((ending,), timeout=poll_s)


async def backup(deps: Deps, emit: Emit) -> BackupRecord:
    """Take a backup outside a deploy."""
    async with exported(deps.target, purpose="backup") as (session, snapshot_id):
        runbook = deps.read_runbook()
        snapshot = await take_snapshot(
            session,
            schemas=await application_schemas(session, deps.options.schemas),
            runbook=runbook,
            now=deps.clock.now(),
        )
        return await take_backup(
            session=session,
            snapshot_id=snapshot_id,
            snapshot=snapshot,
            target=deps.target,
            tools=deps.tools,
            objects=deps.objects,
            store=deps.store,
            clock=deps.clock,
            project=deps.options.project,
            deploy_id="",
            options=deps.backup,
            emit=emit,
        )


async def find_backup(deps: Deps, name: str) -> BackupRecord:
    """The backup of that id, or of that unambiguous beginning of an id.

    Raises:
        NotFoundError: `notfound.backup`.
    """
    everyones = [one for one in await deps.store.backups() if one.id.startswith(name)]
    records = [one for one in everyones if one.project == deps.options.project]
    exact = [one for one in records if one.id == name]
    if exact or len(records) == 1:
        return (exact or records)[0]
    if everyones and not records:
        raise NotFoundError(
            f"backup {everyones[0].id} is of project {everyones[0].project!r}, not of {deps.options.project!r}",
            code="notfound.backup",
            hint="`deploy-agent backup list` shows those of this project; set `project` to work for the other one.",
        )
    raise NotFoundError(
        f"there is no backup {name!r}" if not records else f"{name!r} may be {' or '.join(one.id for one in records)}",
        code="notfound.backup",
        hint="`deploy-agent backup list` shows them.",
    )


async def last_backup(deps: Deps) -> str:
    """The id of the project's newest backup that is not damaged.

    Raises:
        NotFoundError: `notfound.backup`.
    """
    for record in await deps.store.backups(project=deps.options.project):
        if record.state is not BackupState.DAMAGED:
            return record.id
    raise NotFoundError(
        f"project {deps.options.project!r} has no backup",
        code="notfound.backup",
        hint="Take one with `deploy-agent backup create`.",
    )


async def restore(deps: Deps, name: str, emit: Emit) -> BackupRecord:
    """Bring the application's schemas back to a backup, in place, under the deploy lock.

    A backup of what is there now is taken first, so that the restore itself can be undone.

    Returns:
        That safety backup.

    Raises:
        BusyError: a deploy or another restore is running.
        ToolError, BackupError, TargetError, StatementError: the restore failed; nothing was changed, or, where it
            takes several transactions, it goes on behind the last that committed when it is asked for again.
    """
    record = await find_backup(deps, name)
    await no_deploy_runs(deps)
    async with deps.target.session(purpose="restore") as session:
        await take_lock(session, deps.clock)
        await _keep_late(deps, session, emit)  # of a restore that was cut off
        safety = await backup(deps, emit)
        manifest = await load_manifest(deps.objects, safety)
        async with opened(deps.objects, manifest, deps.backup, only=lambda name: name == SNAPSHOT) as folder:
            present = await backup_large_objects(folder)
        await restore_in_place(
            target=deps.target,
            tools=deps.tools,
            objects=deps.objects,
            backup=record,
            options=deps.backup,
            clock=deps.clock,
            purpose="restore",
            emit=emit,
            guard=Guard(salvage=new_id(deps.clock), deploy_id="", backup_id=safety.id, until=manifest.snapshot),
            shared=False,
            present=present,
        )
        await _keep_late(deps, session, emit)
    return safety


async def _keep_late(deps: Deps, session: Session, emit: Emit) -> None:
    await keep_late(
        session,
        objects=deps.objects,
        options=deps.backup,
        project=deps.options.project,
        clock=deps.clock,
        emit=emit,
    )


async def restore_to(
    deps: Deps, name: str, *, target: Target, tools: PgTools, overwrite: bool, jobs: int, emit: Emit
) -> Aside:
    """Restore a backup into another database, under that one's deploy lock; see `aside.restore_aside`.

    One that arrived whole and equal counts as verified.

    Raises:
        BusyError: `busy.locked`: a deploy is running there.
        BackupError, TargetError, StatementError: it was not restored.
    """
    record = await find_backup(deps, name)
    async with target.session(purpose="restore") as session:
        await take_lock(session, deps.clock)
        done = await restore_aside(
            source=deps.target,
            target=target,
            tools=tools,
            objects=deps.objects,
            backup=record,
            options=deps.backup,
            overwrite=overwrite,
            jobs=jobs,
            clock=deps.clock,
            emit=emit,
        )
    if done.complete:
        await deps.store.set_backup_state(record.id, BackupState.VERIFIED, now=deps.clock.now())
    return done


async def no_deploy_runs(deps: Deps) -> None:
    """Raises BusyError `busy.deploying` if a deploy of the project is not final; it says which, whose, and how far."""
    running = await deps.store.deploys(project=deps.options.project, states=OPEN_STATES, limit=1)
    if running:
        one = running[0]
        raise BusyError(
            f"deploy {one.id} of {one.project} is not over: asked for by {one.request.requested_by} at "
            f"{one.created_at:%Y-%m-%d %H:%M:%S} UTC, in state {one.state} since {one.updated_at:%H:%M:%S}",
            code="busy.deploying",
            hint=f"Follow it with `deploy-agent events {one.id} --follow`, or stop it with "
            f"`deploy-agent cancel {one.id}`; then try again.",
            where={"deploy_id": one.id},
        )


async def verify(deps: Deps, emit: Emit) -> list[CheckResult]:
    """Run the runbook's final checks now; `before` is now too.

    Raises:
        NotFoundError: `notfound.runbook`: there is nothing to run.
    """
    runbook = deps.read_runbook()
    if runbook is None:
        raise NotFoundError(
            "there is no runbook, so there are no checks to run",
            code="notfound.runbook",
            hint="Write one (`deploy-agent init` makes a start), or set `runbook` in the settings.",
        )
    async with deps.target.session(purpose="verify") as session:
        before = await read_values(session, runbook.snapshot)
        return await run_checks(
            session,
            runbook.checks,
            phase="final",
            before=before,
            clock=deps.clock,
            http=deps.http,
            api=deps.api,
            emit=emit,
            snapshot=runbook.snapshot,
        )


async def applied_versions(deps: Deps) -> list[str]:
    """The versions that the history table names, in order."""
    async with deps.target.session(purpose="status") as session:
        return [row.version for row in await read_history(session)]


def _newest(deps: Deps) -> str:
    """The version of the newest file. Raises InputError `plan.empty_folder`."""
    folder = deps.read_folder()
    if not folder.migrations:
        raise InputError(
            f"{folder.label} holds no migration, so there is no latest one",
            code="plan.empty_folder",
            hint="Check the `migrations` setting, or name the version to wait for.",
        )
    return folder.migrations[-1].version


async def wait_for(deps: Deps, version: str, *, timeout_s: float, poll_s: float = 1.0) -> None:
    """Return when the database has a version; a database that is not there yet is waited for too.

    Args:
        version: a version, or `latest`: the newest file of the folder.
        timeout_s: seconds; 0 looks once.

    Raises:
        WaitTimeoutError: `wait.timeout`; the message says what the database has.
        InputError: `plan.empty_folder`: `latest` of a folder without migrations.
    """
    wanted = _newest(deps) if version == "latest" else version
    deadline = deps.clock.now() + timedelta(seconds=timeout_s)
    while True:
        try:
            versions = await applied_versions(deps)
            state = f"it is at {versions[-1]}" if versions else "it has none"
        except AgentError as error:
            versions, state = [], error.message
        if wanted in versions:
            return
        if deps.clock.now() >= deadline:
            raise WaitTimeoutError(
                f"the database does not have version {wanted} after {timeout_s:g} s; {state}",
                code="wait.timeout",
                hint="See `deploy-agent status`.",
            )
        await deps.clock.sleep(poll_s)


async def doctor(deps: Deps, more: Sequence[Finding]) -> list[Finding]:
    """Look at everything a deploy needs. Findings of severity `info` are what is in order.

    Args:
        more: what bootstrap has found already (settings, store).
    """
    found = list(more)
    probes = (
        ("migrations", _migrations),
        ("runbook", _runbook),
        ("platform", _platform),
        ("database", _database),
        ("tools", _tools),
        ("backups", _backups),
    )
    for name, probe in probes[:4] if deps.options.via_api else probes:
        try:
            found.append(Finding(code=f"doctor.{name}", severity=Severity.INFO, message=await probe(deps)))
        except PlatformError as error:
            problem = finding_of(error)
            severity = Severity.ERROR if deps.options.platform_required else Severity.WARNING
            found.append(problem.model_copy(update={"severity": severity}))
        except AgentError as error:
            found.append(finding_of(error))
    if not any(one.severity is Severity.ERROR for one in found):
        try:
            found += await _checklist(deps)
        except AgentError as error:
            found.append(finding_of(error))
    return found


async def _checklist(deps: Deps) -> list[Finding]:
    """What the plan and the preflight of a deploy would say now."""
    runbook = await asyncio.to_thread(deps.read_runbook)
    async with deps.target.session(purpose="doctor") as session:
        plan = await make_plan(session, deps, DeployRequest(project=deps.options.project), runbook)
        found = await checklist(deps, session, plan, runbook, lambda _: None)
    phases = {"preflight", "final", *(f"migration:{one.migration.version}" for one in plan.scripts)}
    return [*plan.findings, *found, *await not_ready(deps.api, runbook, phases)]


async def _migrations(deps: Deps) -> str:
    folder = await asyncio.to_thread(deps.read_folder)
    return f"{count(len(folder.migrations), 'migration')} in {folder.label}"


async def _runbook(deps: Deps) -> str:
    runbook = await asyncio.to_thread(deps.read_runbook)
    if runbook is None:
        return "no runbook: backup, safe apply and restore, but no checks of your own"
    return f"runbook {runbook.title!r}: {count(sum(1 for _ in runbook.all_checks()), 'check')}"


async def _platform(deps: Deps) -> str:
    if deps.platform is None:
        return "the platform is not asked: there is no token for the Management API"
    project = await deps.platform.project()
    status = f"project {project.name} ({project.ref}) is {project.status} in {project.region}"
    from agent.core.platform_connection import session_pooler  # noqa: PLC0415 - only who has a token pays for it

    place = session_pooler(await deps.platform.poolers(), project.ref)
    return f"{status}{f'; session pooler {place.host}:{place.port}' if place else ''}"


async def _database(deps: Deps) -> str:
    async with deps.target.session(purpose="doctor") as session:
        version = await session.value(sql.load("target/version"))
        applied = len(await read_history(session))
    return f"{deps.target.label}: PostgreSQL {version}, {count(applied, 'migration')} applied"


async def _tools(deps: Deps) -> str:
    found = await deps.tools.versions()
    by_place: dict[tuple[str, str], list[str]] = {}
    for path, version in found.items():
        folder, _, program = path.rpartition("/")
        by_place.setdefault((folder, version), []).append(program)
    return "; ".join(f"{', '.join(names)} {version} in {folder}" for (folder, version), names in by_place.items())


async def _backups(deps: Deps) -> str:
    await deps.objects.put_bytes("doctor.probe", b"deploy-agent")
    await deps.objects.delete("doctor.probe")
    kept = len(await deps.store.backups(project=deps.options.project))
    return f"{deps.objects.label} is writable; {count(kept, 'backup')}"
