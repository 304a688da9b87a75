"""A TCP proxy that can stop passing anything on without closing, like a NAT that has forgotten a connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Freezer:
    """`freeze` silences the connections that stand (`new` ones too, if asked); the peers' TCP notices nothing."""

    server_port: int
    port: int = 0
    frozen: set[int] = field(default_factory=set)
    swallow_new: bool = False
    _count: int = 0
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _writers: list[asyncio.StreamWriter] = field(default_factory=list)

    def freeze(self, *, new: bool = False) -> None:
        self.frozen.update(range(self._count))
        self.swallow_new = new

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        number = self._count
        self._count += 1
        if self.swallow_new:
            self.frozen.add(number)
        upstream_reader, upstream = await asyncio.open_connection("127.0.0.1", self.server_port)
        self._writers += [writer, upstream]
        await asyncio.gather(
            self._pump(number, reader, upstream, always=not self.swallow_new),
            self._pump(number, upstream_reader, writer, always=False),
        )

    async def _pump(
        self, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, always: bool
    ) -> None:
        try:
            while data := await reader.read(65536):
                if always or number not in self.frozen:
                    writer.write(data)
            if number not in self.frozen:
                writer.close()
        except ConnectionError:
            return

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.close()


@asynccontextmanager
async def freezer(server_port: int) -> AsyncIterator[Freezer]:
    """A running proxy in front of a server on loopback."""
    proxy = Freezer(server_port=server_port)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        await proxy.stop()
