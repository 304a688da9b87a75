"""What a deploy has changed, what was changed beside deploys, and what differs from a backup."""

from __future__ import annotations

from agent import sql
from agent.core import backups
from agent.core import drift as core
from agent.core.catalog import CatalogDiff, diff
from agent.core.drift import Left
from agent.core.models import BackupRecord, EventKind, Finding, Severity, Snapshot
from agent.core.states import State
from agent.deploy.archive import load_manifest, opened
from agent.deploy.deps import Deps, Run
from agent.deploy.snapshot import application_schemas, backup_catalog, read_catalog, read_objects
from agent.errors import AgentError
from agent.ports import Session

LEFT = "left"  # evidence: a Left as JSON
LEFT_DIGEST = "left_digest"
_MOST_NAMES = 100  # in an event, of each kind
_UNDONE = (State.ROLLED_BACK, State.RESTORED)


async def read_left(session: Session, deps: Deps) -> Left:
    """The catalog and the history as they are; inside a transaction, so that they agree."""
    schemas = await application_schemas(session, deps.options.schemas)
    versions = await session.rows(sql.load("history/list_versions"))
    return Left(
        server_major=await session.value(sql.load("target/major")),
        catalog=await read_catalog(session, schemas),
        history=tuple(row["version"] for row in versions),
    )


async def tell_changes(run: Run, session: Session) -> None:
    """Say what a deploy that has passed its checks changed, and note what it leaves for the next one's preflight.

    If that cannot be read, it is said, and the deploy has succeeded all the same.
    """
    assert run.before is not None  # noqa: S101 - set before migrate
    try:
        async with session.transaction(read_only=True, repeatable=True):
            left = await read_left(session, run.deps)
    except AgentError as error:
        message = f"what changed could not be read: {error.message}"
        run.emitter.emit(EventKind.LOG, message, severity=Severity.WARNING)
        return
    await run.deps.store.put_evidence(run.deploy_id, LEFT, left.model_dump_json())
    await run.deps.store.put_evidence(run.deploy_id, LEFT_DIGEST, left.digest)
    found = core.changed(run.before.catalog, left.catalog)
    run.emitter.emit(
        EventKind.CHANGES,
        f"what changed: {found.counts}",
        created=list(found.created[:_MOST_NAMES]),
        dropped=list(found.dropped[:_MOST_NAMES]),
        altered=list(found.altered[:_MOST_NAMES]),
        counts={"created": len(found.created), "dropped": len(found.dropped), "altered": len(found.altered)},
    )


async def find_drift(deps: Deps, now: Left) -> list[Finding]:
    """Whether somebody changed the catalog since the last deploy of the project.

    Nothing is found where that cannot be told: there is no such deploy, or it left the database to a person.
    """
    for deploy in await deps.store.deploys(project=deps.options.project):
        if deploy.state is State.NEEDS_OPERATOR:
            return []
        if await deps.store.get_evidence(deploy.id, LEFT_DIGEST) == now.digest:
            return []  # the common case, without reading what may be thousands of objects
        if deploy.state is State.SUCCEEDED and (text := await deps.store.get_evidence(deploy.id, LEFT)):
            return core.drift(Left.model_validate_json(text), now, deploy_id=deploy.id)
        if deploy.state in _UNDONE and (text := await deps.store.get_evidence(deploy.id, "snapshot")):
            before = Snapshot.model_validate_json(text)
            left = Left(server_major=now.server_major, catalog=before.catalog, history=before.history)
            return core.drift(left, now, deploy_id=deploy.id)
    return []


async def diff_with_backup(deps: Deps, backup: BackupRecord) -> CatalogDiff:
    """What of the application's catalog is not as a backup has it. Reads; changes nothing.

    Raises:
        BackupError: `backup.no_catalog`, `backup.damaged` and its kin.
    """
    manifest = await load_manifest(deps.objects, backup)
    async with opened(deps.objects, manifest, deps.backup, only=lambda name: name == backups.CATALOG) as folder:
        before = await backup_catalog(folder)
    async with (
        deps.target.session(purpose="diff") as session,
        session.transaction(read_only=True, repeatable=True),
    ):
        schemas = {*manifest.schemas, *await application_schemas(session, deps.options.schemas)}
        return diff(before, await read_objects(session, sorted(schemas)))
