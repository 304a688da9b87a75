"""The requests of http checks, over httpx: careful about where they go and what comes back.

The address is checked after it is resolved, and the connection goes to the very address that was checked, so that a
name that changes meanwhile leads nowhere else. Redirects are not followed: they are answers like any other. Values of
environment variables never appear in a message; the URL is named as the runbook writes it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import socket
from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx  # at run time it is imported with the first request: it takes 0.1 s, and most runbooks send none

from agent.core.checks import HttpAnswer, HttpCheck
from agent.errors import InputError, TargetError

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
#: What the agent itself works with: a runbook's author may not read it.
_OWN_VARIABLE = re.compile(r"DEPLOY_AGENT_|AWS_|AZURE_|GOOGLE_|PG[A-Z]+\Z|SUPABASE_(ACCESS_TOKEN|DB_PASSWORD)\Z")
_LIMIT = 1_000_000
_METADATA = frozenset({"fd00:ec2::254", "100.100.100.200"})  # AWS over IPv6, Alibaba; the others are link-local


class HttpxProbe:
    """Sends http checks; implements `agent.deploy.checks.HttpProbe`.

    Args:
        environment: where `${NAME}` is looked up. Default: the process's.
        limit: how many bytes of a body are read.
    """

    def __init__(self, environment: Mapping[str, str] | None = None, *, limit: int = _LIMIT) -> None:
        self._environment = os.environ if environment is None else environment
        self._limit = limit
        self._client: httpx.AsyncClient | None = None

    async def send(self, request: HttpCheck, *, timeout_s: float) -> HttpAnswer:
        """The answer, whatever its status.

        Args:
            request: what to send.
            timeout_s: for everything, from looking up the name to the last byte.

        Raises:
            InputError: `http.unset_variable`, `http.own_variable`, `http.bad_url`; `http.refused`: the address is one
                that no check may ask.
            TargetError: `http.unreachable`, `http.timeout`.
        """
        try:
            async with asyncio.timeout(timeout_s):
                return await self._send(request)
        except TimeoutError as error:
            raise TargetError(
                f"{request.url} did not answer within {timeout_s:g} s",
                code="http.timeout",
                hint="Raise the check's timeout, or look at the API.",
            ) from error

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.aclose()

    async def _send(self, request: HttpCheck) -> HttpAnswer:
        import httpx  # noqa: PLC0415 - see the top

        url = self._url(request)
        headers = {
            "accept-encoding": "identity",
            **{name: self._expanded(value) for name, value in request.headers.items()},
            "host": url.netloc.decode("ascii"),
        }
        body = None if request.body is None else self._expanded(request.body)
        if self._client is None:
            for logger in ("httpx", "httpcore"):
                logging.getLogger(logger).setLevel(logging.WARNING)  # at INFO they write down URLs
            self._client = httpx.AsyncClient(timeout=None, trust_env=False, follow_redirects=False)  # noqa: S113 - see send
        reason = ""
        for address in await _addresses(url, request.url):
            message = self._client.build_request(
                request.method,
                url.copy_with(host=address),
                headers=headers,
                json=body,
                extensions={"sni_hostname": url.host},
            )
            try:
                return await self._answer(message)
            except httpx.ConnectError as error:
                reason = type(error).__name__ if "[SSL" not in str(error) else "the TLS certificate is not accepted"
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                reason = type(error).__name__
                break
        raise TargetError(
            f"{request.url} cannot be reached: {reason}",
            code="http.unreachable",
            hint="Look at the URL, and whether the API runs.",
        )

    async def _answer(self, message: httpx.Request) -> HttpAnswer:
        assert self._client is not None  # noqa: S101 - the caller made it
        response = await self._client.send(message, stream=True)
        try:
            body = bytearray()
            async for chunk in response.aiter_bytes():
                body += chunk
                if len(body) > self._limit:
                    break
        finally:
            await response.aclose()
        text = bytes(body[: self._limit]).decode("utf-8", errors="replace")
        return HttpAnswer(status=response.status_code, text=text, cut=len(body) > self._limit)

    def _url(self, request: HttpCheck) -> httpx.URL:
        import httpx  # noqa: PLC0415 - see the top

        try:
            url = httpx.URL(self._expanded(request.url))
        except (httpx.InvalidURL, ValueError) as error:
            raise _bad_url(request.url) from error
        if url.scheme not in {"http", "https"} or not url.host or url.userinfo:
            raise _bad_url(request.url)
        return url

    def _expanded(self, value: Any) -> Any:  # noqa: ANN401 - any JSON
        if isinstance(value, str):
            return _VARIABLE.sub(self._variable, value)
        if isinstance(value, list):
            return [self._expanded(item) for item in value]
        if isinstance(value, dict):
            return {key: self._expanded(item) for key, item in value.items()}
        return value

    def _variable(self, match: re.Match[str]) -> str:
        if _OWN_VARIABLE.match(match[1].upper()):
            raise InputError(
                f"the environment variable {match[1]} is the agent's own, and no http check may send it",
                code="http.own_variable",
                hint="Give the check a variable of its own, with a key that may do no more than the check needs.",
                where={"variable": match[1]},
            )
        value = self._environment.get(match[1], "")
        if not value:
            raise InputError(
                f"the environment variable {match[1]}, which an http check of the runbook uses, is not set",
                code="http.unset_variable",
                hint=f"Set {match[1]} where the agent runs.",
                where={"variable": match[1]},
            )
        return value


async def _addresses(url: httpx.URL, shown: str) -> list[str]:
    """The addresses of the host, all of which may be asked.

    Raises:
        InputError: `http.refused`.
        TargetError: `http.unreachable`: the name is not known.
    """
    port = url.port or {"http": 80, "https": 443}[url.scheme]
    try:
        found = await asyncio.get_running_loop().getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise TargetError(
            f"the host of {shown} is not known", code="http.unreachable", hint="Look at the URL."
        ) from error
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    for text in addresses:
        address = ip_address(text.partition("%")[0])
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        if address.is_link_local or address.is_multicast or address.is_unspecified or str(address) in _METADATA:
            raise InputError(
                f"{shown} leads to an address that no check may ask (link-local, multicast or a cloud's metadata)",
                code="http.refused",
                hint="Name the API by its public address, or by one in a private network.",
            )
    return addresses


def _bad_url(shown: str) -> InputError:
    return InputError(
        f"{shown} is not a URL that a check can ask",
        code="http.bad_url",
        hint="Write http:// or https://, a host, and a path; a key belongs in headers, not before an @.",
    )
