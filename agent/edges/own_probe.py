"""Asks the agent that runs on this machine how it is; with the standard library, because it is asked twice a minute.

Facts: the answers of `agent.web.routes`.
"""

from __future__ import annotations

import http.client
import ipaddress
import json

from agent.errors import HealthError

_TIMEOUT_S = 5.0


def ask(path: str, *, host: str, port: int) -> None:
    """Return if the agent answers 200.

    Args:
        path: `/livez` or `/readyz`.
        host: what it listens on; one that stands for all addresses is asked at loopback.
        port: its port.

    Raises:
        HealthError: `health.port`: the port is 0, so nobody knows which one it took; `health.no_answer`;
            `health.not_well`: it answered something else than 200, with what it says is missing.
    """
    if port == 0:
        raise HealthError(
            "http.port is 0: the agent took a free port, and this command cannot know which",
            code="health.port",
            hint="Set http.port to a number.",
            where={"field": "http.port"},
        )
    connection = http.client.HTTPConnection(_reachable(host), port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise HealthError(
            f"no answer from the agent at {host} port {port} ({_reason(error)})",
            code="health.no_answer",
            hint="Is `deploy-agent serve` running here, with the same http.host and http.port?",
        ) from error
    finally:
        connection.close()
    if answer.status != 200:
        raise HealthError(
            f"{path} of the agent at {host} port {port} answered {answer.status}{_missing(body)}",
            code="health.not_well",
            hint="`/healthz` tells more; so does the agent's log.",
        )


def _reachable(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if not address.is_unspecified:
        return host
    return "127.0.0.1" if address.version == 4 else "::1"


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return f"nothing for {_TIMEOUT_S:g} s"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return "it does not speak HTTP"


def _missing(body: bytes) -> str:
    """What `/readyz` says is missing."""
    try:
        missing = json.loads(body)["missing"]
        return ": " + "; ".join(f"{one['name']}: {one['message']}" for one in missing)
    except (ValueError, LookupError, TypeError):  # something else listens there
        return ""
