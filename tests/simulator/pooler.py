"""A session pooler like Supavisor's on port 5432: it takes the project's ref off the user's name and passes all on.

One backend a client. Passwords pass through untouched: SCRAM does not use the name that stands in its own messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import struct

_SSL_REQUEST = 80877103
_GSS_REQUEST = 80877104
_CANCEL = 80877102


class SessionPooler:
    """Listens on loopback, in front of one Postgres.

    Args:
        ref: the project's ref, which users carry as a suffix.
        server_port: where Postgres is; it may be away for a while.
        host: the name or address of loopback to listen on.
        port: 0: any free one.
    """

    def __init__(self, ref: str, server_port: int, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.host = host
        self.port = port
        self._suffix = f".{ref}"
        self._server_port = server_port
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen."""
        self._server = await asyncio.start_server(self._serve, self.host, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Stop listening and cut whoever is connected."""
        if self._server is not None:
            self._server.close()
        for task in list(self._clients):
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            await self._client(reader, writer)
        except (asyncio.IncompleteReadError, OSError):
            return  # either side went away: the other one is told by the close below
        except asyncio.CancelledError:
            return  # stop() asked for it; re-raising would only reach the server's own log
        finally:
            self._clients.discard(task)
            writer.close()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        startup = await _packet(reader)
        while (code := struct.unpack("!I", startup[4:8])[0]) in (_SSL_REQUEST, _GSS_REQUEST):
            writer.write(b"N")
            startup = await _packet(reader)
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        try:
            server_writer.write(startup if code == _CANCEL else self._without_ref(startup))
            async with asyncio.TaskGroup() as both:
                both.create_task(_pipe(reader, server_writer))
                both.create_task(_pipe(server_reader, writer))
        except* OSError:
            pass  # one side is gone; the other is closed now
        finally:
            server_writer.close()

    def _without_ref(self, startup: bytes) -> bytes:
        parts = startup[8:].split(b"\0")
        for name in range(0, len(parts) - 1, 2):
            if parts[name] == b"user":
                parts[name + 1] = parts[name + 1].removesuffix(self._suffix.encode())
        body = startup[4:8] + b"\0".join(parts)
        return struct.pack("!I", len(body) + 4) + body


async def _packet(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(4)
    return head + await reader.readexactly(struct.unpack("!I", head)[0] - 4)


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while part := await reader.read(65536):
        writer.write(part)
        await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()
