"""The plan: files, history and database read together."""

from __future__ import annotations

import hashlib

from agent import sql
from agent.core.models import DeployRequest
from agent.core.planning import Plan, build_plan
from agent.core.runbook import Runbook
from agent.deploy.deps import Deps
from agent.deploy.snapshot import application_schemas, read_catalog, read_history
from agent.ports import Session


async def make_plan(session: Session, deps: Deps, request: DeployRequest, runbook: Runbook | None) -> Plan:
    """What a deploy would do now. Reads; changes nothing.

    Raises:
        InputError: the folder or a file in it cannot be read.
    """
    folder = deps.read_folder()
    async with session.transaction(read_only=True, repeatable=True):
        version = await session.value(sql.load("target/version"))
        history = await read_history(session)
        schemas = await application_schemas(session, deps.options.schemas)
        catalog = await read_catalog(session, schemas)
    digest = hashlib.sha256("\n".join(f"{identity} {catalog[identity]}" for identity in sorted(catalog)).encode())
    checks = 0
    if runbook is not None:
        checks = len(runbook.checks) + sum(len(entry.checks) for entry in runbook.migrations)
    return build_plan(
        project=deps.options.project,
        folder=folder,
        history=history,
        strategy=request.strategy,
        include_all=request.include_all,
        until=request.until,
        checks=checks,
        server_major=int(version.split(".")[0]),
        target_fingerprint=digest.hexdigest(),
    )
