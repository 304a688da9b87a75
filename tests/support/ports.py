"""Ports for servers that must be told theirs before they start."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack
from pathlib import Path

_DRAWN = random.SystemRandom()  # workers of one run must not draw the same


def free_ports(count: int) -> list[int]:
    """Ports that are free now and that the kernel gives to no client (ip(7), ip_local_port_range).

    One of its own choice is a client's: once given back, it may be another process's before the server takes it.
    """
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    servers = range(10_000, 65_536)
    places = [port for port in servers if not first <= port <= last] or servers
    ports: list[int] = []
    with ExitStack() as held:
        while len(ports) < count:
            probe = held.enter_context(socket.socket())
            try:
                probe.bind(("", _DRAWN.choice(places)))
            except OSError:
                continue
            ports.append(probe.getsockname()[1])
    return ports
