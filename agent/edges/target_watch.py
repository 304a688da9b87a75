"""Notices a connection that is dead without saying so, while a statement is waited for.

TCP keepalives see a peer that is gone. They do not see a pooler, proxy or NAT between that still answers them and
passes nothing on. So after a while a second connection asks the server what the first one's backend is doing.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from agent.errors import TargetError

#: Asks what a backend does: `(state, seconds)`, or None if there is no such backend.
Ask = Callable[[], Awaitable[tuple[str, float] | None]]

_ATTEMPTS = 3


class Watch:
    """Watches one connection's statements.

    Args:
        ask: looks at the backend over another connection.
        after_s: seconds a statement may run before it is looked after, and between two looks.
    """

    def __init__(self, ask: Ask, *, after_s: float) -> None:
        self._ask = ask
        self._after_s = after_s
        self.reason = ""

    @contextmanager
    def over(self, fileno: int) -> Iterator[None]:
        """Watch while the body waits for the server; cuts the socket `fileno`, and sets `reason`, if it is dead."""
        tasks: list[asyncio.Task[None]] = []
        timer = asyncio.get_running_loop().call_later(
            self._after_s, lambda: tasks.append(asyncio.create_task(self._look(fileno)))
        )
        try:
            yield
        finally:
            timer.cancel()
            for task in tasks:
                task.cancel()

    async def _look(self, fileno: int) -> None:
        failures = 0
        while True:
            try:
                found = await self._ask()
            except TargetError as error:
                failures += error.code in {"target.unreachable", "target.connection_lost"}
                if failures == _ATTEMPTS:
                    self._cut(fileno, f"nothing was heard, and a second connection failed too: {error.message}")
                    return
            else:
                failures = 0
                if found is None:
                    self._cut(fileno, "the server has ended this session, and the news did not arrive")
                    return
                state, seconds = found
                if state != "active" and seconds > self._after_s / 2:
                    self._cut(fileno, f"the server answered {seconds:.0f} s ago, and the answer did not arrive")
                    return
            await asyncio.sleep(self._after_s)

    def _cut(self, fileno: int, reason: str) -> None:
        """Shut the socket down: libpq reads its end, as from a server that has closed it."""
        self.reason = reason
        with socket.socket(fileno=os.dup(fileno)) as duplicate:
            try:
                duplicate.shutdown(socket.SHUT_RDWR)
            except OSError:
                return  # the peer's end has arrived meanwhile
