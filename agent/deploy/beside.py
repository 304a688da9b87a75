"""Doing several things at once, so that nothing goes on behind the back of whoever started it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

T = TypeVar("T")


@asynccontextmanager
async def beside(*work: Coroutine[Any, Any, T]) -> AsyncIterator[list[asyncio.Task[T]]]:
    """What goes on while the body runs, and ends with it at the latest. How it ends is told to who awaits the tasks."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """All of it at once. The first failure ends the rest, and is raised."""
    async with beside(*work) as tasks:
        return await asyncio.gather(*tasks)
