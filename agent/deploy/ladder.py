"""Undoing a failed deploy: the cheapest rung that brings the database back, each proven against the snapshot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agent import sql
from agent.core.compare import Differences, differences
from agent.core.models import EventKind, Failure, Severity, TableMark
from agent.core.runbook import Script
from agent.deploy import large_objects
from agent.deploy.deps import Run, Stop
from agent.deploy.migrate import SINGLY, check, transactional
from agent.deploy.sending import home
from agent.deploy.snapshot import advance_sequences, application_schemas, take_snapshot
from agent.errors import AgentError, TargetError
from agent.ports import Row, Session


class NotProven(Exception):  # noqa: N818 - it rolls a transaction back
    """What was undone does not equal the snapshot."""

    def __init__(self, found: Differences) -> None:
        super().__init__("differs")
        self.found = found


async def shut_out(run: Run) -> Session:
    """End what is left of the deploy's own sessions, and let nothing more of it in."""
    session = await run.clean_session()
    await session.rows(sql.load("lock/terminate_others"))
    if await session.value(sql.load("ledger/exists")):
        await session.run(sql.load("ledger/close"), {"deploy_id": run.deploy_id})
    return session


async def remains(run: Run, session: Session) -> tuple[list[str], bool]:
    """What the deploy has left in the database.

    Returns:
        The versions that it committed, and whether a file that runs statement by statement is half applied.
    """
    assert run.plan is not None and run.before is not None  # noqa: S101, PT018 - set before migrate
    before = set(run.before.history)
    columns = await session.rows(sql.load("history/shape"))
    now = {row["version"] for row in await session.rows(sql.load("history/list_versions"))} if columns else set()
    applied = {row["version"] for row in await files_noted(run, session) if row["state"] == "applied"}
    ours = [one.migration.version for one in run.plan.scripts if one.migration.version in (now - before) | applied]
    if not await session.value(sql.load("ledger/exists")):
        return ours, False
    noted = await session.rows(sql.load("ledger/statements"), {"deploy_id": run.deploy_id})
    return ours, any(row["version"] not in ours for row in noted)


async def refuse_to_undo_others(run: Run, session: Session) -> None:
    """What follows takes the whole database back, and so whatever somebody else has deployed meanwhile.

    Raises:
        Stop: the history has versions that are neither this deploy's nor from before it.
    """
    assert run.before is not None  # noqa: S101 - set before migrate
    if not (files := await files_noted(run, session)):
        return
    now = {row["version"] for row in await session.rows(sql.load("history/list_versions"))}
    foreign = sorted(now - set(run.before.history) - {row["version"] for row in files})
    if foreign:
        raise Stop(
            Failure(
                cause="agent",
                code="rollback.foreign_versions",
                message=f"the history now has {', '.join(foreign[:5])}, not from this deploy; going back would undo it",
                hint="Decide with whoever did it: keep both and repair by hand, or run `deploy-agent restore`.",
            )
        )


async def compare(run: Run, session: Session, *, tables: Mapping[str, TableMark] | None = None) -> Differences:
    """The database now against the snapshot, in a transaction of its own or in the open one.

    Args:
        tables: their content, where it was read before.
    """
    assert run.before is not None  # noqa: S101 - set before migrate
    async with session.transaction():
        schemas = await application_schemas(session, run.deps.options.schemas)
        now = run.deps.clock.now()
        after = await take_snapshot(session, schemas=schemas, runbook=None, now=now, tables=tables, large=False)
        files = await files_noted(run, session)
        if run.before.large_objects is not None:
            large = await large_objects.as_left(
                session, run.before.large_objects, deploy_id=run.deploy_id, wrote=large_objects.written(files)
            )
            after = after.model_copy(update={"large_objects": large})
    wrote = {name for row in files for name in row["wrote_outside"]} - large_objects.TABLES
    return differences(run.before, after, wrote_outside=wrote)


async def files_noted(run: Run, session: Session) -> list[Row]:
    """The ledger's notes on the files that this deploy has applied or begun; none if the ledger is gone."""
    if not await session.value(sql.load("ledger/exists")):
        return []
    return await session.rows(sql.load("ledger/files"), {"deploy_id": run.deploy_id})


def report_rung(run: Run, rung: int, name: str, found: Differences | None, *, message: str = "") -> bool:
    """Record how a rung ended; True if the database is proven to be as before."""
    proven = found is not None and found.none
    for identity in found.lost if found else ():
        gone = f"the {identity.replace(':', ' ', 1)} is gone: no backup holds it, and no query could use it"
        run.emitter.emit(EventKind.LOG, gone, severity=Severity.WARNING)
    run.emitter.emit(
        EventKind.RUNG,
        message or (f"{name}: the database equals the snapshot" if proven else f"{name}: not as before"),
        severity=Severity.INFO if proven else Severity.WARNING,
        rung=rung,
        name=name,
        ok=proven,
        differences=list(found.all[:50]) if found else [],
    )
    return proven


async def rollback_rung(run: Run, session: Session) -> tuple[bool, Differences, bool]:
    """Rung 1: nothing of the deploy had committed; prove it.

    Rows that differ while the schema and the history do not were written by the application meanwhile:
    a transaction that was rolled back leaves none. They are named, and they are no failure; nor is what differs
    outside the application's schemas. Not so if a file was begun that runs statement by statement.
    A sequence that a migration set back is set forward again: setval is not rolled back.

    Returns:
        Whether that is proven, what differs, and whether the deploy itself may have left it.
    """
    found = await compare(run, session)
    if found.sequences:
        assert run.before is not None  # noqa: S101 - set before migrate
        await session.run(advance_sequences(session, run.before.sequences))
        found = await compare(run, session)
    in_doubt = await run.deps.store.get_evidence(run.deploy_id, SINGLY) is not None
    if not (found.catalog or found.history or in_doubt):
        for line in (*found.content, *found.large, *found.outside):
            run.emitter.emit(EventKind.LOG, f"written by others meanwhile: {line}")
        found = found.model_copy(update={"content": (), "large": (), "outside": ()})
    return report_rung(run, 1, "transaction rollback", found), found, in_doubt


async def scripts_rung(run: Run, session: Session, versions: Sequence[str]) -> bool:
    """Rung 2: the runbook's rollback scripts and their history rows, committed only if they are proven.

    Returns:
        Whether the database is as before. If not, nothing was changed.
    """
    scripts = _scripts(run, versions)
    if not scripts:
        return False
    try:
        async with session.transaction():
            for name, script in scripts:
                run.emitter.emit(EventKind.LOG, f"running the rollback script of {name}")
                await session.run(script.sql or "")
                if not await session.in_transaction():
                    raise _ends_the_transaction(name)
                await session.run_many(["RESET ROLE", *home(session)])
                await check(run, session, transactional(script.checks), phase="rollback")
            await session.run(sql.load("history/delete"), {"versions": list(versions)})
            found = await _proven(run, session)
    except NotProven as error:
        return report_rung(run, 2, "rollback scripts", error.found)
    except (AgentError, Stop) as error:
        return report_rung(run, 2, "rollback scripts", None, message=f"rollback scripts failed: {error}")
    return report_rung(run, 2, "rollback scripts", found)


def _ends_the_transaction(name: str) -> TargetError:
    return TargetError(
        f"the rollback script of {name} ends the transaction that was to hold it",
        code="rollback.script_commits",
        hint="Take COMMIT and ROLLBACK out of it: the agent commits it when the result is proven.",
    )


async def _proven(run: Run, session: Session) -> Differences:
    """Raises NotProven where the database differs from the snapshot."""
    found = await compare(run, session)
    if not found.none:
        raise NotProven(found)
    return found


def _scripts(run: Run, versions: Sequence[str]) -> list[tuple[str, Script]]:
    """Per migration, newest first, if each has one; else the complete one; else none."""
    runbook = run.runbook
    if runbook is None or not versions or not runbook.on_failure.rollback_scripts:
        return []
    entries = [(version, runbook.for_version(version)) for version in reversed(versions)]
    single = [(version, entry.rollback) for version, entry in entries if entry and entry.rollback]
    if len(single) == len(versions):
        return single
    complete = runbook.rollback.complete
    return [("the whole deploy", complete)] if complete else []


async def clean_up(run: Run, *, succeeded: bool) -> None:
    """Take away the fence, the ledger, and a history table that was made for a deploy that changed nothing."""
    session = await run.clean_session()
    if succeeded:
        await _all_recorded(run, session)
    async with session.transaction():
        await session.run(sql.load("ledger/quiet"))
        await session.run(sql.load("ledger/drop"))
        if not succeeded and await run.deps.store.get_evidence(run.deploy_id, "created_history"):
            await session.run(sql.load("history/drop_created"))


async def _all_recorded(run: Run, session: Session) -> None:
    """A trigger on the history table may have acted at COMMIT, after the last look.

    Raises:
        Stop: the history lacks a version that was applied.
    """
    assert run.plan is not None  # noqa: S101 - set before migrate
    rows = await session.rows(sql.load("history/list_versions"))
    missing = sorted({one.migration.version for one in run.plan.scripts} - {row["version"] for row in rows})
    if missing:
        raise Stop(
            Failure(
                cause="agent",
                code="migrate.history_lost",
                message=f"the history has lost {', '.join(missing[:5])}, which this deploy applied",
                hint="Look for triggers and rules on supabase_migrations.schema_migrations.",
            )
        )
