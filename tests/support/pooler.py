"""A connection pooler in transaction mode, like Supabase's on port 6543, in front of a real Postgres.

A client gets a backend for the length of one transaction; the backend that came back last goes out first. As with
PgBouncer and Supavisor the client is told a process id that is no backend's. The server must trust the pooler.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_SSL_REQUEST = 80877103
_IDLE = b"I"


@dataclass
class TransactionPooler:
    server_port: int
    rejects_set: bool = False
    port: int = 0
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = field(default_factory=list)
    opened: list[asyncio.StreamWriter] = field(default_factory=list)
    clients: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.clients.add(task)
        try:
            await self._client(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            self.clients.discard(task)
            writer.close()

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        startup = await _packet(reader)
        while struct.unpack("!I", startup[4:8])[0] == _SSL_REQUEST:
            writer.write(b"N")
            startup = await _packet(reader)
        writer.write(b"R" + struct.pack("!II", 8, 0))
        for name, value in (("server_version", "17.0"), ("client_encoding", "UTF8")):
            text = f"{name}\0{value}\0".encode()
            writer.write(b"S" + struct.pack("!I", 4 + len(text)) + text)
        writer.write(b"K" + struct.pack("!III", 12, 1, 1))
        writer.write(b"Z" + struct.pack("!I", 5) + _IDLE)
        backend = None
        while True:
            kind, message = await _message(reader)
            if kind == b"X":
                return
            if self.rejects_set and b"SET " in message:
                text = b"SERROR\0CXX000\0M(ESETNOTALLOWED) session-level SET statements are not allowed\0\0"
                writer.write(b"E" + struct.pack("!I", 4 + len(text)) + text + b"Z" + struct.pack("!I", 5) + _IDLE)
                continue
            if backend is None:
                backend = self.idle.pop() if self.idle else await self._open(startup)
            backend[1].write(message)
            if kind in b"QS" and await _until_ready(backend[0], writer) == _IDLE:
                self.idle.append(backend)
                backend = None

    async def _open(self, startup: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.server_port)
        self.opened.append(writer)
        writer.write(startup)
        await _until_ready(reader, None)
        return reader, writer


async def _packet(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(4)
    return head + await reader.readexactly(struct.unpack("!I", head)[0] - 4)


async def _message(reader: asyncio.StreamReader) -> tuple[bytes, bytes]:
    kind = await reader.readexactly(1)
    return kind, kind + await _packet(reader)


async def _until_ready(reader: asyncio.StreamReader, writer: asyncio.StreamWriter | None) -> bytes:
    """Pass messages on until ReadyForQuery; its transaction status."""
    while True:
        kind, message = await _message(reader)
        if writer is not None:
            writer.write(message)
        if kind == b"Z":
            return message[-1:]


@asynccontextmanager
async def transaction_pooler(server_port: int, *, rejects_set: bool = False) -> AsyncIterator[TransactionPooler]:
    """A running pooler; `port` is its own."""
    pooler = TransactionPooler(server_port=server_port, rejects_set=rejects_set)
    server = await asyncio.start_server(pooler.serve, "127.0.0.1", 0)
    pooler.port = server.sockets[0].getsockname()[1]
    try:
        yield pooler
    finally:
        server.close()
        for task in list(pooler.clients):
            task.cancel()
        await asyncio.gather(*pooler.clients, return_exceptions=True)
        for writer in pooler.opened:
            writer.close()
