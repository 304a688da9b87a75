"""Files that cannot run in one transaction of ours: statement by statement, each noted before and after."""

from __future__ import annotations

from agent import sql
from agent.core.models import EventKind, Failure
from agent.core.scripts import Script
from agent.deploy.checking import check, checks_inside
from agent.deploy.deps import Run, Stop, failure_of
from agent.deploy.sending import announce, applied, blame, fence, place, prelude, recorded
from agent.deploy.tracing import span
from agent.errors import StatementError, TargetError
from agent.ports import Attributes, Row, Session

SINGLY = "singly"
"""Evidence that a file was begun which runs statement by statement: what of it has committed is in doubt."""

# Of these the written tables are asked for. Nothing else but CALL writes rows. The entry of a large object is one: who
# may read it stands there.
_WRITES = frozenset(
    {
        *("INSERT", "UPDATE", "DELETE", "MERGE", "SELECT", "DO", "EXECUTE", "ALTER ROLE", "ALTER USER"),
        *("TRUNCATE TABLE", "COPY", "CREATE TABLE", "ALTER TABLE", "GRANT", "REVOKE", "ALTER LARGE OBJECT"),
    }
)


async def run_singly(run: Run, script: Script) -> None:
    """A file that cannot run in one transaction of ours: each statement is noted before and after.

    Raises:
        Stop: a statement failed, or an earlier worker was cut off in the middle: never called clean.
    """
    session = await run.session()
    version = script.migration.version
    seen = [
        row
        for row in await session.rows(sql.load("ledger/statements"), {"deploy_id": run.deploy_id})
        if row["version"] == version
    ]
    if seen:
        raise Stop(
            Failure(
                cause="agent",
                code="migrate.interrupted",
                message=f"an earlier worker was cut off in {script.migration.file}, statement {seen[-1]['statement']} "
                f"of {len(script.pieces)}; what it did is in doubt",
                version=version,
                file=script.migration.file,
            )
        )
    started = announce(run, script)
    await run.deps.store.put_evidence(run.deploy_id, SINGLY, version)
    await session.run_many(prelude(run, session))
    async with run.deps.target.session(purpose=run.purpose) as ledger:
        await ledger.run_many(prelude(run, ledger))  # the file itself may hold a lock that the ledger needs
        await ledger.run(sql.load("ledger/start_file"), {"deploy_id": run.deploy_id, "version": version})
        for index in range(1, len(script.pieces) + 1):
            run.check_cancelled()
            await _one_statement(run, ledger, script, index)
    if await session.in_transaction():
        await session.run("ROLLBACK")
        raise Stop(
            Failure(
                cause="statement",
                code="migrate.transaction_left_open",
                message=f"{script.migration.file} ends inside a transaction that it opened; rolled back",
                hint="End the file with COMMIT.",
                version=version,
                file=script.migration.file,
            )
        )
    await session.run_many(prelude(run, session))
    await check(run, session, checks_inside(run, script), phase=f"migration:{version}")
    await session.run_transaction([fence(run, session), *recorded(run, session, script)])
    applied(run, [script], started)


async def _one_statement(run: Run, ledger: Session, script: Script, index: int) -> None:
    session = await run.session()
    piece = script.pieces[index - 1]
    key = {"deploy_id": run.deploy_id, "version": script.migration.version, "statement": index}
    fact = script.facts[index - 1]
    writes = fact.tag in _WRITES or fact.tag == "CALL"
    await ledger.run(sql.load("ledger/start_statement"), {**key, "writes": writes})
    began = run.deps.clock.now()
    run.interruptible = True
    named: Attributes = {
        "deploy_agent.migration.version": script.migration.version,
        "deploy_agent.migration.statement": index,
        "deploy_agent.migration.line": piece.code_line,
        "db.operation.name": fact.tag,
    }
    try:
        with span(run.deps, "statement", named):
            written = await _send_alone(run, session, script, index)
    except StatementError as error:
        if await session.in_transaction():
            await session.run("ROLLBACK")
        raise Stop(blame(run, script, error, index=index)) from error
    except TargetError as error:
        await run.drop_session()
        raise Stop(failure_of(error, statement=index, **place(script))) from error
    finally:
        run.interruptible = False
    if writes:
        unseen = written is None
        written = written or {"names": [], "id": None, "touched": [], "replaced": []}
        await ledger.run(sql.load("ledger/wrote"), {**key, **written, "unseen": unseen})
        writes = unseen or written["id"] is not None
    await ledger.run(sql.load("ledger/finish_statement"), {**key, "writes": writes})
    run.emitter.emit(
        EventKind.STATEMENT,
        f"{fact.tag} ({index} of {len(script.pieces)})",
        version=script.migration.version,
        index=index,
        total=len(script.pieces),
        line=piece.code_line,
        tag=fact.tag,
        seconds=(run.deps.clock.now() - began).total_seconds(),
    )


async def _send_alone(run: Run, session: Session, script: Script, index: int) -> Row | None:
    """Run one statement by itself; what it wrote, as sql/ledger/written.sql says it, or None: that is not known.

    Counters and locks are gone once it has committed, so they are read in the same message, which makes one
    transaction of the two. Only where that changes nothing: not for what may end a transaction or must not be in one.
    """
    text, fact = script.pieces[index - 1].text, script.facts[index - 1]
    calls = fact.tag == "DO" and "CALL" in text.upper()
    if fact.tag not in _WRITES or fact.control or fact.runs_alone or calls:
        await session.run(text)
        return None
    question = session.bind(sql.load("ledger/written"), {"watched": list(run.watched)})
    [written] = await session.rows(f"{text}\n;\n{question}")
    return written
