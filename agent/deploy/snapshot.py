"""The snapshot: what the database was, in names, numbers and hashes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

from agent import sql
from agent.core.managed import MANAGED_SCHEMAS
from agent.core.models import Snapshot, TableMark
from agent.core.planning import HistoryRow
from agent.core.preflight import PreflightLimits
from agent.core.preflight import history as judge_history
from agent.core.runbook import Runbook
from agent.core.statements import unquoted
from agent.deploy.checks import read_values
from agent.errors import PreflightError, TargetError
from agent.ports import Session, Target


async def application_schemas(session: Session, chosen: Sequence[str]) -> tuple[str, ...]:
    """The schemas that backups, snapshots and restores are about.

    Args:
        chosen: from the settings; empty means: all but those of Postgres, Supabase and extensions.
    """
    if chosen:
        return tuple(chosen)
    rows = await session.rows(sql.load("catalog/schemas"), {"managed": list(MANAGED_SCHEMAS)})
    return tuple(row["name"] for row in rows)


async def read_history(session: Session) -> tuple[HistoryRow, ...]:
    """What the history table says is applied; nothing if there is no such table.

    Raises:
        PreflightError: `preflight.history_shape`: it is not the Supabase CLI's table.
    """
    shape = await session.rows(sql.load("preflight/history"))
    if not shape:
        return ()
    for strange in judge_history(shape, PreflightLimits()):
        raise PreflightError(strange.message, code=strange.code, hint=strange.hint, where=strange.where)
    complete = {"statements", "name"} <= shape[0]["columns"].keys()
    rows = await session.rows(sql.load("history/list" if complete else "history/list_versions"))
    return tuple(
        HistoryRow(
            version=row["version"],
            name=row["name"] or "",
            statements=None if row["statements"] is None else tuple(row["statements"]),
        )
        for row in rows
    )


async def read_catalog(session: Session, schemas: Sequence[str]) -> dict[str, str]:
    """The digest of each object's definition, by identity; the transaction's search path is set to pg_catalog."""
    await session.run(sql.load("snapshot/settings"))
    rows = await session.rows(sql.load("catalog/objects"), {"schemas": list(schemas)})
    return {row["identity"]: row["digest"] for row in rows}


_OUTSIDE_TABLE_BYTES = 4_000_000  # tables of other schemas up to this size are hashed, should a migration write there


async def _read_outside(session: Session, others: Sequence[str]) -> dict[str, str]:
    """What is in no application schema: a digest by identity."""
    found = {
        row["identity"]: row["digest"] for row in await session.rows(sql.load("snapshot/outside"), {"others": others})
    }
    found |= await read_catalog(session, others)
    if await session.value(sql.load("backup/outside/cron_exists")):
        for row in await session.rows(sql.load("backup/outside/cron_jobs")):
            found[f"cron job:{row['name']}"] = row["create_sql"]
    return found


async def _read_marks(session: Session, schemas: Sequence[str], *, largest: int | None = None) -> dict[str, TableMark]:
    """Rows and hash of each table; with `largest`, those of up to so many bytes, also those of extensions."""
    marks: dict[str, TableMark] = {}
    params = {"schemas": list(schemas), "members": largest is not None}
    for table in await session.rows(sql.load("snapshot/tables"), params):
        if largest is None or table["bytes"] <= largest:
            [mark] = await session.rows(table["query"])
            marks[table["name"]] = TableMark(rows=mark["rows"], hash=mark["hash"], bytes=table["bytes"])
    return marks


async def take_snapshot(
    session: Session,
    *,
    schemas: Sequence[str],
    runbook: Runbook | None,
    now: datetime,
    tables: Mapping[str, TableMark] | None = None,
) -> Snapshot:
    """Read the snapshot in the transaction that is open.

    Args:
        session: inside a transaction (REPEATABLE READ where the snapshot must agree with a backup).
        schemas: whose objects and rows are taken.
        runbook: its snapshot queries are read too.
        now: recorded as the time of the snapshot.
        tables: their content, where it was read before.
    """
    values = await read_values(session, runbook.snapshot) if runbook else {}
    catalog = await read_catalog(session, schemas)
    args = {"schemas": list(schemas)}
    sequences = {row["name"]: row["last_value"] for row in await session.rows(sql.load("snapshot/sequences"), args)}
    others = [row["name"] for row in await session.rows(sql.load("catalog/other_schemas"), args)]
    outside = await _read_outside(session, others)
    history = await read_history(session)
    return Snapshot(
        taken_at=now,
        values=values,
        tables=await _read_marks(session, schemas) if tables is None else dict(tables),
        catalog=catalog,
        sequences=sequences,
        history=tuple(row.version for row in history),
        outside={identity: digest for identity, digest in outside.items() if identity not in catalog},
        outside_tables=await _read_marks(session, others, largest=_OUTSIDE_TABLE_BYTES),
    )


def proof(session: Session, before: Snapshot) -> str:
    """SQL that ends a restore's transaction: it notes what the snapshot's tables hold, for `read_proof`."""
    names = [name.removeprefix("schema:") for name in before.catalog if name.startswith("schema:")]
    schemas = [unquoted(name) for name in names]
    text = sql.load("snapshot/prove").replace("{tables}", sql.load("snapshot/tables"))
    return f"{sql.load('snapshot/settings')};\n{session.bind(text, {'schemas': schemas, 'members': False})}"


async def read_proof(session: Session) -> dict[str, TableMark]:
    """What the tables held when the restore committed; whatever the application has written since."""
    rows = await session.rows(sql.load("ledger/proof"))
    return {row["name"]: TableMark(rows=row["rows"], hash=row["hash"]) for row in rows}


@asynccontextmanager
async def exported(target: Target, *, purpose: str) -> AsyncIterator[tuple[Session, str]]:
    """A session in a transaction whose snapshot other sessions may share, and that snapshot's id."""
    async with target.session(purpose=purpose) as session, session.transaction(read_only=True, repeatable=True):
        snapshot_id = await session.value(sql.load("snapshot/export"))
        if not isinstance(snapshot_id, str):
            raise TargetError("the server gave no snapshot id", code="target.no_snapshot")
        yield session, snapshot_id
