"""The HTTP server: uvicorn on sockets that were bound before, so that a taken port is an error like any other."""

from __future__ import annotations

import asyncio
import errno
import ipaddress
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager

import uvicorn
from fastapi import FastAPI

from agent.errors import InputError

_GRACE_S = 5  # for requests under way when the agent ends


class _Server(uvicorn.Server):
    """Leaves the signals to the agent."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def listening(app: FastAPI, *, host: str, port: int, local_only: bool) -> AsyncIterator[int]:
    """Answer HTTP requests during the body.

    Args:
        app: the application.
        host: a name or an address; all addresses of a name are listened on.
        port: 0 takes a free one.
        local_only: refuse an address that other machines can reach.

    Yields:
        The port.

    Raises:
        InputError: `settings.http_host`, `settings.http_port`: cannot be listened on; `settings.http_token`: the
            address is not loopback, though `local_only`.
    """
    addresses = await _resolve(host, port)
    if local_only and not all(ipaddress.ip_address(one).is_loopback for _, one in addresses):
        raise InputError(
            f"http.host {host} can be reached from other machines, and there is no token",
            code="settings.http_token",
            hint="Set DEPLOY_AGENT_HTTP__TOKEN or http.tokens (`deploy-agent token new` makes one), or listen on "
            "127.0.0.1.",
            where={"field": "http.token"},
        )
    with ExitStack() as stack:
        sockets: list[socket.socket] = []
        for family, address in addresses:
            taken = sockets[0].getsockname()[1] if sockets else port
            sockets.append(stack.enter_context(_bind(family, address, taken)))
        config = uvicorn.Config(
            app, log_config=None, access_log=False, lifespan="off", ws="none", server_header=False,
            timeout_graceful_shutdown=_GRACE_S,
        )  # fmt: skip
        server = _Server(config)
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(server.serve(sockets))
            try:
                yield sockets[0].getsockname()[1]
            finally:
                server.should_exit = True
                await asyncio.wait([serving])


async def _resolve(host: str, port: int) -> list[tuple[socket.AddressFamily, str]]:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise InputError(
            f"http.host {host!r} is not an address of this machine ({error.strerror})",
            code="settings.http_host",
            hint="Use 127.0.0.1, or 0.0.0.0 for all addresses.",
            where={"field": "http.host"},
        ) from error
    return [(family, str(address[0])) for family, _, _, _, address in found]


def _bind(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    try:
        return socket.create_server((address, port), family=family)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        field = "host" if error.errno == errno.EADDRNOTAVAIL else "port"
        raise InputError(
            f"port {port} of {address} is taken by another process"
            if taken
            else f"port {port} of {address} cannot be listened on ({error.strerror})",
            code=f"settings.http_{field}",
            hint="Stop the other process, or set DEPLOY_AGENT_HTTP__PORT to a free port."
            if taken
            else "Set http.host to an address of this machine and http.port to a port that its user may open.",
            where={"field": f"http.{field}"},
        ) from error
