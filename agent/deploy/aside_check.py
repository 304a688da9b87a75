"""Is the other database what the backup's snapshot says? Rows, contents, catalog, and what lies outside."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from agent import sql
from agent.core import aside as core
from agent.core import backups, large_objects
from agent.core.backups import Manifest, OutsideObject
from agent.core.models import EventKind, Snapshot, TableMark
from agent.deploy import outside
from agent.deploy.emitter import Emit, tell
from agent.deploy.snapshot import read_catalog, read_history, read_large_objects, read_sequences, tables_asked
from agent.ports import Clock, Row, Session, Target


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What was found. `missing`: of what lies outside the schemas; the rest as in `core.aside.Aside`."""

    tables: int
    rows: int
    differences: tuple[str, ...]
    missing: tuple[str, ...]
    unchecked_keys: tuple[str, ...]


async def check(
    *,
    target: Target,
    manifest: Manifest,
    folder: Path,
    before: Sequence[OutsideObject],
    apart: Sequence[str],
    jobs: int,
    purpose: str,
    clock: Clock,
    emit: Emit,
) -> Checked:
    """Compare, and gather the planner's statistics on the way.

    Args:
        folder: the backup's files, plain.
        before: what lay outside.
        apart: what was left out on purpose, as `schema.name`.
        jobs: connections at once.
    """
    scope = {"schemas": list(manifest.schemas)}
    async with target.session(purpose=purpose) as session:
        await session.run_many([sql.load("aside/session")])
        async with session.transaction(read_only=True):
            await session.run_many([sql.load("snapshot/settings")])
            tables = await session.rows(sql.load("snapshot/tables"), tables_asked(manifest.schemas))
        marks = await _marks(target, tables, jobs=jobs, purpose=purpose, clock=clock, emit=emit)
        for row in await session.rows(sql.load("restore/tables"), scope):
            await session.run(sql.load("restore/analyze"), names={"table": (row["schema"], row["name"])})
        after = await _snapshot(session, manifest, marks, clock)
        async with session.transaction(read_only=True, repeatable=True):
            await session.run_many([sql.load("snapshot/settings")])
            large = await read_large_objects(session, contents=True)
        missing = core.missing(before, await outside.read_outside(session, manifest.schemas, shared=False))
        keys = {
            row["identity"]: row["name"]
            for row in await session.rows(sql.load("aside/unchecked_keys"), {"keys": list(manifest.untied_keys)})
        }
    kept = folder / backups.SNAPSHOT
    if not await asyncio.to_thread(kept.exists):  # of an agent before 0.2
        found = _counts(manifest, marks)
    else:
        snapshot = Snapshot.model_validate_json(await asyncio.to_thread(kept.read_bytes))
        held, there, lost = large_objects.arrived(snapshot.large_objects or {}, large)
        snapshot = snapshot.model_copy(update={"large_objects": held})
        after = after.model_copy(update={"large_objects": there})
        missing = (*missing, *(f"large object {name}" for name in lost))
        keys = {
            identity: name
            for identity, name in keys.items()
            if snapshot.catalog.get(f"constraint:{identity}") != after.catalog.get(f"constraint:{identity}")
        }
        found = core.compare(snapshot, after, schemas=manifest.schemas, apart=[*apart, *keys]).all
    return Checked(
        tables=len(marks),
        rows=sum(mark.rows for mark in marks.values()),
        differences=found,
        missing=missing,
        unchecked_keys=tuple(keys.values()),
    )


async def _marks(
    target: Target, tables: Sequence[Row], *, jobs: int, purpose: str, clock: Clock, emit: Emit
) -> dict[str, TableMark]:
    """Rows and hash of each table, the largest first, by several connections."""
    left, marks = list(reversed(tables)), {}

    async def work() -> None:
        async with target.session(purpose=purpose) as session:
            await session.run_many([sql.load("aside/session")])
            async with session.transaction(read_only=True):
                await session.run_many([sql.load("snapshot/settings")])
                while left:
                    table = left.pop()
                    [mark] = await session.rows(table["query"])
                    marks[table["name"]] = TableMark(rows=mark["rows"], hash=mark["hash"], bytes=table["bytes"])
                    message = f"restore: {len(marks)} of {len(tables)} tables are compared"
                    tell(
                        emit,
                        clock,
                        EventKind.PROGRESS,
                        message,
                        what="restore",
                        phase="compare",
                        done=len(marks),
                        total=len(tables),
                    )

    async with asyncio.TaskGroup() as group:
        for _ in range(min(jobs, len(tables))):
            group.create_task(work())
    return marks


async def _snapshot(session: Session, manifest: Manifest, marks: dict[str, TableMark], clock: Clock) -> Snapshot:
    async with session.transaction(read_only=True, repeatable=True):
        return Snapshot(
            taken_at=clock.now(),
            tables=marks,
            catalog=await read_catalog(session, manifest.schemas),
            sequences=await read_sequences(session, manifest.schemas),
            history=tuple(row.version for row in await read_history(session)),
        )


def _counts(manifest: Manifest, marks: dict[str, TableMark]) -> tuple[str, ...]:
    return tuple(
        f"table {name} has {marks[name].rows if name in marks else 'no'} rows, it had {rows}"
        for name, rows in sorted(manifest.rows.items())
        if name not in marks or marks[name].rows != rows
    )
