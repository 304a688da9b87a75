"""A database seen as it is once the schemas that a deploy renamed have their names back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from agent import sql
from agent.core.backups import CATALOG, Manifest
from agent.core.renamed import names_back
from agent.deploy.snapshot import application_schemas, backup_catalog
from agent.ports import Session


class _Over(Exception):  # noqa: N818 - ends a transaction that is to be rolled back
    pass


async def renamed(session: Session, manifest: Manifest, folder: Path, *, chosen: Sequence[str] = ()) -> tuple[str, ...]:
    """SQL that gives the schemas of a backup the names that they had; nothing if none was renamed.

    What is in a schema is told by its name: all of it would be made again from the backup, and what belongs to others
    in it would be lost.

    Args:
        folder: the backup's files.
        chosen: schemas of the settings, if they name any: then others are not moved out of the way.
    """
    if not await asyncio.to_thread((folder / CATALOG).exists):  # not in backups of an earlier version
        return ()
    before = {
        item.objid: name.removeprefix("schema:")
        for name, item in (await backup_catalog(folder)).items()
        if item.kind == "schema"
    }
    rows = await session.rows(sql.load("restore/schema_names"))
    others = set(manifest.all_schemas) - set(manifest.schemas)
    ours = set(await application_schemas(session, ())) - others
    return names_back(
        before,
        {row["oid"]: row["quoted"] for row in rows},
        ours={
            row["oid"] for row in rows if row["ours"] and row["name"] in ours and (row["oid"] in before or not chosen)
        },
    )


@asynccontextmanager
async def seen_as_before(session: Session, names: Sequence[str], *, repeatable: bool = False) -> AsyncIterator[None]:
    """A transaction to look around in, in which schemas have the names that they had. It changes nothing.

    Args:
        names: see `renamed`.
        repeatable: see `Session.transaction`.
    """
    with suppress(_Over):
        async with session.transaction(read_only=not names, repeatable=repeatable):
            if names:
                await session.run_many([sql.load("restore/quiet"), *names])
            yield
            if names:
                raise _Over
