"""A restore or deploy that is stopped at a known place: there it asks for a lock that the test holds."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg

LOCK = 4711
"""The number of the advisory lock."""

_WAITS = f"SELECT count(*) > 0 FROM pg_locks WHERE locktype = 'advisory' AND objid = {LOCK} AND NOT granted"


async def until_it_waits(holder: psycopg.AsyncConnection, running: asyncio.Task[Any]) -> None:
    """Return when somebody waits for the lock; fail if what runs ends before."""
    while await (await holder.execute(_WAITS)).fetchone() == (False,):
        assert not running.done(), running
        await asyncio.sleep(0.02)  # between two questions: the server does not call back
