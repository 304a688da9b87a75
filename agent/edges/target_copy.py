"""Rows in bulk over psycopg: COPY to and from the server, a block at a time, so memory does not grow with the table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import psycopg
from psycopg.abc import PQGen
from psycopg.generators import copy_from
from psycopg.pq.abc import PGconn

_BLOCK = 1 << 20


async def copy_out(connection: psycopg.AsyncConnection, text: str, write: Callable[[bytes], object]) -> None:
    """Run `COPY … TO STDOUT` and hand over what comes, in blocks of about a MiB of whole rows, in a thread.

    Raises:
        psycopg.Error: the server refused it, or the connection is lost.
    """
    async with connection.cursor().copy(text.encode()):
        more = True
        while more:
            block = bytearray()
            more = await connection.wait(_rows(connection.pgconn, block))
            await asyncio.to_thread(write, bytes(block))


def _rows(connection: PGconn, block: bytearray) -> PQGen[bool]:
    """Gather a block; False at the end. Row by row, psycopg would ask the event loop for each."""
    while len(block) < _BLOCK:
        row = yield from copy_from(connection)
        if not isinstance(row, memoryview):
            return False
        block += row
    return True


async def copy_in(connection: psycopg.AsyncConnection, text: str, blocks: AsyncIterator[bytes]) -> None:
    """Run `COPY … FROM STDIN` with the blocks.

    Raises:
        psycopg.Error: the server refused it, or the connection is lost.
    """
    async with connection.cursor().copy(text.encode()) as stream:
        async for block in blocks:
            await stream.write(block)
