"""The plan: files, history and database read together."""

from __future__ import annotations

import asyncio
import hashlib

from agent import sql
from agent.core.drift import Left
from agent.core.models import DeployRequest, Strategy
from agent.core.planning import Plan, build_plan
from agent.core.preflight import unfinished_restore
from agent.core.runbook import Runbook
from agent.deploy.beside import beside
from agent.deploy.carrying import unfinished
from agent.deploy.checks import measure_volume
from agent.deploy.deps import Deps
from agent.deploy.drift import find_drift
from agent.deploy.snapshot import application_schemas, read_catalog, read_history
from agent.ports import Session


async def make_plan(session: Session, deps: Deps, request: DeployRequest, runbook: Runbook | None) -> Plan:
    """What a deploy would do now. Reads; changes nothing.

    Raises:
        InputError: the folder or a file in it cannot be read; `runbook.volume_failed`.
    """
    async with (
        beside(asyncio.to_thread(deps.read_folder)) as [reading],  # while the database answers
        session.transaction(read_only=True, repeatable=True),
    ):
        volume = ""
        if runbook is not None and runbook.volumes is not None:
            volume, _ = await measure_volume(session, runbook.volumes)
        server_major = await session.value(sql.load("target/major"))
        history = await read_history(session)
        schemas = await application_schemas(session, deps.options.schemas)
        catalog = await read_catalog(session, schemas)
        half_restored = await unfinished(session)
        folder = await reading
    digest = hashlib.sha256()
    for identity in sorted(catalog):  # there may be many: not as one text
        digest.update(f"{identity} {catalog[identity]}\n".encode())
    checks = 0
    if runbook is not None:
        checks = len(runbook.checks) + sum(len(entry.checks) for entry in runbook.migrations)
    strategy = request.strategy
    if deps.options.via_api and strategy is Strategy.AUTO:
        strategy = Strategy.ATOMIC  # one request is one transaction
    plan = build_plan(
        project=deps.options.project,
        folder=folder,
        history=history,
        strategy=strategy,
        include_all=request.include_all,
        until=request.until,
        checks=checks,
        server_major=server_major,
        target_fingerprint=digest.hexdigest(),
    )
    if half_restored:
        plan = plan.model_copy(update={"findings": (unfinished_restore(half_restored), *plan.findings)})
    left = Left(server_major=server_major, catalog=catalog, history=tuple(row.version for row in history))
    if found := await find_drift(deps, left):
        plan = plan.model_copy(update={"findings": (*plan.findings, *found)})
    if deps.options.via_api:
        from agent.core.via_api import planned  # noqa: PLC0415 - few need it

        options = deps.options
        plan = planned(plan, request.strategy, runbook, limit_s=options.via_api_limit_s, policy=options.policy)
    return plan if runbook is None else _with_runbook(plan, runbook, volume, {one.version for one in folder.migrations})


def _with_runbook(plan: Plan, runbook: Runbook, volume: str, versions: set[str]) -> Plan:
    """Add what the runbook says about the pending migrations, and what in it fits no file."""
    entries = {one.migration.version: runbook.for_version(one.migration.version) for one in plan.scripts}
    spans = {version: entry.expected_for(volume) for version, entry in entries.items() if entry is not None}
    return plan.model_copy(
        update={
            "volume": volume,
            "expected": {version: span for version, span in spans.items() if span is not None},
            "findings": (*plan.findings, *runbook.findings_for(versions)),
        }
    )
