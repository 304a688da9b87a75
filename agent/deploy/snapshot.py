"""The snapshot: what the database was, in names, numbers and hashes."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter

from agent import sql
from agent.core import backups
from agent.core.catalog import CatalogObject, known
from agent.core.managed import MANAGED_SCHEMAS
from agent.core.models import SequencePlace, Snapshot, TableMark
from agent.core.planning import HistoryRow
from agent.core.preflight import PreflightLimits
from agent.core.preflight import history as judge_history
from agent.core.runbook import Runbook
from agent.core.statements import dollar_tag, unquoted
from agent.deploy.checks import read_values
from agent.deploy.files import new_file
from agent.errors import BackupError, PreflightError, TargetError
from agent.ports import Params, Row, Session, Target

_OBJECTS = TypeAdapter(list[CatalogObject])
_READ_AT_ONCE = 200  # sequences in one query
_ARMS = (
    "schemas",
    "relations",
    "columns",
    "constraints",
    "indexes",
    "triggers",
    "policies",
    "rules",
    "functions",
    "types",
    "statistics",
    "others",
    "database",
)


async def application_schemas(session: Session, chosen: Sequence[str]) -> tuple[str, ...]:
    """The schemas that backups, snapshots and restores are about.

    Args:
        chosen: from the settings; empty means: all but those of Postgres, Supabase and extensions.
    """
    if chosen:
        return tuple(chosen)
    rows = await session.rows(sql.load("catalog/schemas"), {"managed": list(MANAGED_SCHEMAS)})
    return tuple(row["name"] for row in rows)


async def read_sequences(session: Session, schemas: Sequence[str]) -> dict[str, SequencePlace]:
    """Where the sequences stand that can be read, by qualified name."""
    found = {}
    unused = []
    for row in await session.rows(sql.load("snapshot/sequences"), {"schemas": list(schemas)}):
        if row["last_value"] is not None:
            found[row["name"]] = SequencePlace(last=row["last_value"], called=True, step=row["increment_by"])
        elif row["readable"]:
            unused.append(row)
    for start in range(0, len(unused), _READ_AT_ONCE):
        query = "\nUNION ALL\n".join(row["query"] for row in unused[start : start + _READ_AT_ONCE])
        for row in await session.rows(query):
            found[row["name"]] = SequencePlace(
                last=row["last_value"], called=row["is_called"], step=row["increment_by"]
            )
    return found


def advance_sequences(session: Session, places: Mapping[str, SequencePlace]) -> str:
    """SQL that sets sequences that would give again what they gave before to where they stood, in `places`."""
    values = json.dumps(places)
    text = sql.load("snapshot/advance_sequences").replace("{tag}", dollar_tag(values))
    return session.bind(text, {"values": values})


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


def _objects(columns: str, arms: Sequence[str] = _ARMS) -> str:
    """The query of all objects; it asks for the columns in `sql/catalog/<columns>.sql`."""
    text = "\nUNION ALL\n".join(sql.load(f"catalog/objects/{arm}") for arm in arms)
    return sql.load("catalog/objects").replace("{arms}", text).replace("{columns}", sql.load(f"catalog/{columns}"))


async def read_catalog(session: Session, schemas: Sequence[str]) -> dict[str, str]:
    """The digest of each object, by identity; the transaction's search path is set to pg_catalog."""
    return (await _read_catalogs(session, schemas, ()))[0]


async def _read_catalogs(
    session: Session, schemas: Sequence[str], others: Sequence[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """The same of the objects of some schemas, with what lies in no schema, and of those of others, in one query."""
    await session.run(sql.load("snapshot/settings"))
    asked = {"schemas": [*schemas, *others], "inside": list(schemas)}
    catalog: dict[str, str] = {}
    outside: dict[str, str] = {}
    [row] = await session.rows(_objects("digest_columns"), asked)
    lists = (row[name] or () for name in ("identities", "digests", "inside"))
    for identity, digest, inside in zip(*lists, strict=True):
        (catalog if inside else outside)[identity] = digest
    return catalog, outside


async def read_objects(session: Session, schemas: Sequence[str]) -> dict[str, CatalogObject]:
    """All that is known of each object, by identity; the transaction's search path is set to pg_catalog."""
    return known([item async for some in stream_objects(session, schemas) for item in some])


async def stream_objects(session: Session, schemas: Sequence[str]) -> AsyncIterator[list[CatalogObject]]:
    """As `read_objects`, some at a time, inside a transaction; `needs` are OIDs still, for `core.catalog.known`."""
    await session.run(sql.load("snapshot/settings"))
    asked = {"schemas": list(schemas), "inside": list(schemas)}
    await session.run(session.bind(sql.load("catalog/declare") + _objects("full_columns"), asked))
    while rows := await session.rows(sql.load("catalog/fetch")):
        yield [_object(row) for row in rows]
    await session.run(sql.load("catalog/close"))


async def read_beyond_schemas(session: Session, schemas: Sequence[str]) -> list[CatalogObject]:
    """What lies in no schema, and the database itself; `needs` are OIDs still.

    Args:
        session: with a search path under which names come out qualified.
    """
    asked = {"schemas": list(schemas), "inside": list(schemas)}
    rows = await session.rows(_objects("full_columns", ("database", "this_database")), asked)
    return [_object(row) for row in rows]


async def write_catalog(session: Session, schemas: Sequence[str], file: Path) -> None:
    """Write all objects to a new file, one a line, for `backup_catalog`."""
    with new_file(file) as stream:
        between = b"[\n"
        async for some in stream_objects(session, schemas):
            lines = (item.model_dump_json(exclude_defaults=True).encode() for item in some)
            await asyncio.to_thread(stream.write, between + b",\n".join(lines))
            between = b",\n"
        stream.write(b"\n]\n")


async def backup_catalog(folder: Path) -> dict[str, CatalogObject]:
    """The objects of a backup, by identity.

    Args:
        folder: the backup's files, plain and checked.

    Raises:
        BackupError: `backup.no_catalog`: an earlier version of the agent took it.
    """
    try:
        text = await asyncio.to_thread((folder / backups.CATALOG).read_bytes)
    except FileNotFoundError as error:
        raise BackupError(
            "the backup has no catalog: an earlier version of the agent took it",
            code="backup.no_catalog",
            hint="Take a new one with `deploy-agent backup create`. This one can still be restored as a whole.",
        ) from error
    return known(_OBJECTS.validate_json(text))


def _object(row: Row) -> CatalogObject:
    named = {key: dict(_named(row[key])) for key in ("settings", "clear")}
    words = {key: row[key] or "" for key in ("drop", "create")}
    return CatalogObject.model_validate({**row, **named, **words, "needs": row["needs"] or ()})


def _named(items: Sequence[str | None] | None) -> Iterator[tuple[str, str]]:
    for item in items or ():
        if item is not None:
            name, _, statement = item.partition("=")
            yield name, statement


_LOCKED_AT_ONCE = 200  # tables
_OUTSIDE_TABLE_BYTES = 4_000_000  # tables of other schemas up to this size are hashed, should a migration write there


async def _read_outside(session: Session, others: Sequence[str]) -> dict[str, str]:
    """What is in no schema and in no catalog: a digest by identity."""
    found = {
        row["identity"]: row["digest"] for row in await session.rows(sql.load("snapshot/outside"), {"others": others})
    }
    if await session.value(sql.load("backup/outside/cron_exists")):
        for row in await session.rows(sql.load("backup/outside/cron_jobs")):
            command = row["create_sql"].encode()  # may hold a secret
            found[f"cron job:{row['name']}"] = hashlib.md5(command, usedforsecurity=False).hexdigest()
    return found


def tables_asked(
    schemas: Sequence[str], *, members: bool = False, only: Sequence[str] | None = None, without: Sequence[str] = ()
) -> Params:
    """The parameters of `sql/snapshot/tables.sql`, which says what they mean; tables and columns by qualified name."""
    return {"schemas": list(schemas), "members": members, "only": only and list(only), "without": list(without)}


async def read_marks(
    session: Session, schemas: Sequence[str], *, only: Sequence[str] | None = None, without: Sequence[str] = ()
) -> dict[str, TableMark]:
    """Rows and hash of each table, by qualified name, in the transaction that is open.

    Args:
        schemas: whose tables.
        only: these tables; None: all.
        without: columns to leave out, as `schema.table.column`.
    """
    await session.run(sql.load("snapshot/settings"))
    tables = await session.rows(sql.load("snapshot/tables"), tables_asked(schemas, only=only, without=without))
    return await _marks(session, tables)


async def _marks(session: Session, tables: Sequence[Row]) -> dict[str, TableMark]:
    """Many tables are read some at a time, so that their locks and those of their indexes are not held all at once."""
    lets_go = len(tables) > _LOCKED_AT_ONCE and await session.in_transaction()
    if lets_go:
        await session.run(sql.load("snapshot/hold_on"))
    found = {}
    for number, table in enumerate(tables, 1):
        found[table["name"]] = await _mark(session, table)
        if lets_go and (number % _LOCKED_AT_ONCE == 0 or number == len(tables)):
            await session.run(sql.load("snapshot/let_go"))
    return found


async def _read_outside_marks(session: Session, schemas: Sequence[str]) -> dict[str, TableMark]:
    """The same of the smaller tables of other schemas, also those of extensions."""
    tables = await session.rows(sql.load("snapshot/tables"), tables_asked(schemas, members=True))
    return await _marks(session, [one for one in tables if one["bytes"] <= _OUTSIDE_TABLE_BYTES])


async def _mark(session: Session, table: Row) -> TableMark:
    [mark] = await session.rows(table["query"])
    return TableMark(rows=mark["rows"], hash=mark["hash"], bytes=table["bytes"])


async def take_snapshot(
    session: Session,
    *,
    schemas: Sequence[str],
    runbook: Runbook | None,
    now: datetime,
    tables: Mapping[str, TableMark] | None = None,
    large: bool = True,
) -> Snapshot:
    """Read the snapshot in the transaction that is open.

    Args:
        session: inside a transaction (REPEATABLE READ where the snapshot must agree with a backup).
        schemas: whose objects and rows are taken.
        runbook: its snapshot queries are read too.
        now: recorded as the time of the snapshot.
        tables: their content, where it was read before.
        large: also large objects, all of their content.
    """
    values = await read_values(session, runbook.snapshot) if runbook else {}
    args = {"schemas": list(schemas)}
    others = [row["name"] for row in await session.rows(sql.load("catalog/other_schemas"), args)]
    catalog, outside = await _read_catalogs(session, schemas, others)
    outside |= await _read_outside(session, others)
    history = await read_history(session)
    return Snapshot(
        taken_at=now,
        values=values,
        tables=await read_marks(session, schemas) if tables is None else dict(tables),
        catalog=catalog,
        sequences=await read_sequences(session, schemas),
        history=tuple(row.version for row in history),
        outside=outside,
        outside_tables=await _read_outside_marks(session, others),
        large_objects=await read_large_objects(session, contents=True) if large else None,
    )


def proof(session: Session, before: Snapshot, *, only: Sequence[str] | None = None) -> str:
    """SQL that ends a restore's transaction: it notes what the snapshot's tables hold, for `read_proof`.

    Args:
        only: these tables; None: all of the snapshot's schemas.
    """
    text = sql.load("snapshot/prove").replace("{tables}", sql.load("snapshot/tables"))
    return f"{sql.load('snapshot/settings')};\n{session.bind(text, tables_asked(schemas_of(before), only=only))}"


def schemas_of(snapshot: Snapshot) -> list[str]:
    """The schemas that a snapshot is of."""
    return [unquoted(name.removeprefix("schema:")) for name in snapshot.catalog if name.startswith("schema:")]


async def read_proof(session: Session) -> dict[str, TableMark]:
    """What the tables held when the restore committed; whatever the application has written since."""
    rows = await session.rows(sql.load("ledger/proof"))
    return {row["name"]: TableMark(rows=row["rows"], hash=row["hash"]) for row in rows}


async def read_large_objects(session: Session, *, contents: bool) -> dict[str, str]:
    """Large objects by OID: a digest of owner, rights and comment, then, where it was read, one of the content."""
    rows = await session.rows(readable("digests"), {"contents": contents})
    return {row["name"]: row["about"] + row["content"] for row in rows}


def readable(name: str) -> str:
    """A statement about large objects that asks which of them the role may read."""
    text = sql.load(f"large_objects/{name}").replace("{pieces}", sql.load("large_objects/pieces"))
    return text.replace("{readable}", sql.load("large_objects/readable"))


@asynccontextmanager
async def exported(target: Target, *, purpose: str) -> AsyncIterator[tuple[Session, str]]:
    """A session in a transaction whose snapshot other sessions may share, and that snapshot's id."""
    async with target.session(purpose=purpose) as session, session.transaction(read_only=True, repeatable=True):
        snapshot_id = await session.value(sql.load("snapshot/export"))
        if not isinstance(snapshot_id, str):
            raise TargetError("the server gave no snapshot id", code="target.no_snapshot")
        yield session, snapshot_id
