"""Salvage: rows that the application wrote since the backup, kept before a restore takes them away."""

from __future__ import annotations

from agent import sql
from agent.ports import Session


async def deploy_wrote(session: Session, deploy_id: str) -> set[int] | None:
    """OIDs of the application's tables of before that the deploy may have written to; what it made may be among them.

    Returns:
        None: it may have written to any. What it wrote over another connection (dblink) is never seen.
    """
    if not await session.value(sql.load("ledger/exists")):
        return None
    [found] = await session.rows(sql.load("ledger/deploy_wrote"), {"deploy_id": deploy_id})
    return None if found["any"] else set(found["tables"])
