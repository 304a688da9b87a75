"""Rows in bulk over psycopg: COPY to and from the server, a block at a time, so memory does not grow with the table."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import psycopg

_BLOCK = 1 << 20


async def copy_out(connection: psycopg.AsyncConnection, text: str, write: Callable[[bytes], object]) -> None:
    """Run `COPY … TO STDOUT` and hand over what comes, in blocks of about a MiB, in a thread.

    Raises:
        psycopg.Error: the server refused it, or the connection is lost.
    """
    waiting = bytearray()
    async with connection.cursor().copy(text.encode()) as stream:
        async for row in stream:
            waiting += row
            if len(waiting) >= _BLOCK:
                await asyncio.to_thread(write, bytes(waiting))
                waiting.clear()
    await asyncio.to_thread(write, bytes(waiting))


async def copy_in(connection: psycopg.AsyncConnection, text: str, blocks: AsyncIterator[bytes]) -> None:
    """Run `COPY … FROM STDIN` with the blocks.

    Raises:
        psycopg.Error: the server refused it, or the connection is lost.
    """
    async with connection.cursor().copy(text.encode()) as stream:
        async for block in blocks:
            await stream.write(block)
