"""Why a connection could not be made.

libpq tells only in text, and a timeout hides what it waited for. So the network and the TLS part are found out
again with a socket of our own, without credentials: a second wrong password can get an address banned.
"""

from __future__ import annotations

import asyncio
import os
import re
import socket
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import psycopg

from agent.errors import TargetError

_SSL_REQUEST = b"\x00\x00\x00\x08\x04\xd2\x16\x2f"  # protocol-message-formats: SSLRequest, code 80877103
_DIRECT_HOST = re.compile(r"db\.[a-z]{20}\.supabase\.(co|red|in)")
_FRAME = re.compile(r"^(connection failed: )?(connection to server .*?, port \d+ failed: )?")
_POOLER_CODE = re.compile(r"FATAL: +\((E[A-Z]+)\)")
PROBE_S = 5.0

_TOO_MANY = (
    "target.too_many_connections",
    "Close unused sessions, or raise the pool size or max_connections.",
)
_TLS = (
    "target.tls_refused",
    "The server demands TLS: remove sslmode from database_url.",
)
_AUTH = (
    "target.auth_failed",
    (
        "Check user and password in database_url; on Supabase's pooler the user is postgres.<project ref>, "
        "and the project must not be paused."
    ),
)

#: Supavisor begins its messages with a code in parentheses (its lib/supavisor/errors).
POOLER_CODES: MappingProxyType[str, tuple[str, str]] = MappingProxyType(
    {
        **dict.fromkeys(("EMAXCLIENTCONN", "EMAXCLIENTSESSION", "EMAXCONN", "EMAXCONNSESSION"), _TOO_MANY),
        "ECHECKOUTTIMEOUT": _TOO_MANY,
        "ESSLREQUIRED": _TLS,
        **dict.fromkeys(("ENOTFOUND", "ETENANTNOTFOUND", "EINVALIDUSERINFO", "EAUTHQUERY"), _AUTH),
        "ECIRCUITBREAKER": (
            "target.refused",
            "The pooler shuts this address out for a while after repeated failures: check the password, then wait.",
        ),
        "EADDRNOTALLOWED": (
            "target.refused",
            "Add this machine's address to the project's network restrictions.",
        ),
    }
)

#: What PostgreSQL, and poolers without codes, say before the session stands: libpq gives no SQLSTATE here.
SERVER_TEXTS: tuple[tuple[re.Pattern[str], tuple[str, str]], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), meaning)
    for pattern, meaning in (
        (
            (
                "too many (clients|connections)|connection slots are reserved|max client(s| connections) reached"
                "|maxclientsinsessionmode|no more connections allowed"
            ),
            _TOO_MANY,
        ),
        (
            "database .* does not exist|no such database",
            (
                "target.database_missing",
                "Check the database name at the end of database_url; on Supabase it is postgres.",
            ),
        ),
        ("no encryption|ssl off|ssl (connection )?(is )?required|requires ssl", _TLS),
        (
            (
                "authentication failed|no password supplied|role .* does not exist|no pg_hba.conf entry"
                "|is not permitted to log in|tenant or user not found|wrong password"
            ),
            _AUTH,
        ),
    )
)

_IPV6_HINT = (
    "Supabase's direct host has an IPv6 address only: use the session pooler's connection string "
    "(aws-…pooler.supabase.com:5432) from a network without IPv6."
)


def label(params: Mapping[str, Any]) -> str:
    """`host:port/database` for people."""
    host = params.get("host") or params.get("hostaddr") or "localhost"
    return f"{host}:{port(params)}/{params.get('dbname') or params.get('user') or ''}"


def plausible(params: Mapping[str, Any]) -> bool:
    """Whether host, port and database name can be what was meant.

    A password whose @ / or : is not percent-encoded ends up in one of them, and would be shown with them.
    """
    hosts, ports = str(params.get("host") or ""), str(params.get("port") or "")
    return (
        re.fullmatch(r"[\w.:%/,@-]*" if hosts.startswith(("/", "@")) else r"[\w.:%,-]*", hosts) is not None
        and re.fullmatch(r"[\d,]*", ports) is not None
        and "@" not in str(params.get("dbname") or "")
    )


def port(params: Mapping[str, Any]) -> str:
    """The port, as text (several hosts may have several)."""
    return str(params.get("port") or "5432")


def transaction_pooler(name: str) -> TargetError:
    """The connection shares its backend with others after each transaction."""
    return TargetError(
        f"{name} is a connection pooler in transaction mode; a deploy needs a session of its own",
        code="target.transaction_pooler",
        hint="Use the direct connection or the session pooler (port 5432) instead of port 6543.",
        where={"field": "database_url"},
    )


async def explain(error: psycopg.Error, params: Mapping[str, Any], name: str) -> TargetError:
    """The agent's error for a connection that psycopg could not make.

    Args:
        params: the connection parameters.
        name: `host:port/database`.
    """
    text = " ".join(str(error).split())
    pooler = _POOLER_CODE.search(text)
    known = POOLER_CODES.get(pooler[1]) if pooler else None
    known = known or next((meaning for pattern, meaning in SERVER_TEXTS if pattern.search(text)), None)
    if known is not None:
        return _error(name, _reason(text), code=known[0], hint=known[1])
    if "FATAL:" in text:
        return _error(name, _reason(text), code="target.refused", hint="The server's log may say more.")
    return (
        await _explain_network(params, name)
        or await _explain_tls(text, params, name)
        or _error(name, _reason(text), code="target.unreachable", hint="Check that a PostgreSQL server answers there.")
    )


def _error(name: str, reason: str, *, code: str, hint: str) -> TargetError:
    return TargetError(f"{name}: {reason}", code=code, hint=hint, where={"field": "database_url"})


def _reason(text: str) -> str:
    """The server's or libpq's own words, without the frame around them."""
    return _FRAME.sub("", text.rpartition("FATAL: ")[2]).strip()


async def _explain_network(params: Mapping[str, Any], name: str) -> TargetError | None:
    """Resolve and connect, once for each address; None if a TCP connection stands (or it is a Unix socket)."""
    host = str(params.get("hostaddr") or params.get("host") or "localhost").split(",")[0]
    if host.startswith("/"):
        return None
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(PROBE_S):
            found = await loop.getaddrinfo(host, int(port(params).split(",")[0]), type=socket.SOCK_STREAM)
    except OSError as error:  # TimeoutError is one, without words of its own
        hint = _IPV6_HINT if _DIRECT_HOST.fullmatch(host) else "Check the host's spelling, and the DNS of this machine."
        return _error(
            name,
            f"the host name cannot be resolved ({error.strerror or 'no answer'})",
            code="target.unreachable",
            hint=hint,
        )
    reasons: list[str] = []
    for family, _, _, _, address in found:
        reason = await _try_address(family, address)
        if reason is None:
            return None
        reasons.append(f"{address[0]}: {reason}")
    only_v6 = all(family == socket.AF_INET6 for family, *_ in found)
    hint = _IPV6_HINT if only_v6 else "Check host, port, firewall and network restrictions, and that the server runs."
    return _error(name, f"no connection ({'; '.join(dict.fromkeys(reasons))})", code="target.unreachable", hint=hint)


async def _try_address(family: int, address: tuple[Any, ...]) -> str | None:
    """Why TCP does not reach an address, or None if it does."""
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # noqa: FBT003 - the socket API
        try:
            async with asyncio.timeout(PROBE_S):
                await asyncio.get_running_loop().sock_connect(probe, address)
        except TimeoutError:
            return f"no answer within {PROBE_S:g} s"
        except OSError as error:
            return os.strerror(error.errno).lower() if error.errno else str(error)
    return None


async def _explain_tls(text: str, params: Mapping[str, Any], name: str) -> TargetError | None:
    """Ask the server whether it speaks TLS, and look at its certificate; None if that is not the trouble."""
    mode = str(params.get("sslmode") or "prefer")
    host = str(params.get("hostaddr") or params.get("host") or "localhost").split(",")[0]
    try:
        async with asyncio.timeout(PROBE_S):
            reader, writer = await asyncio.open_connection(host, int(port(params).split(",")[0]))
            try:
                writer.write(_SSL_REQUEST)
                answer = await reader.read(1)
            finally:
                writer.close()
    except TimeoutError:
        return _error(
            name,
            f"something accepts connections there but does not answer ({PROBE_S:g} s)",
            code="target.unreachable",
            hint="The server may be overloaded or starting, or this is not a PostgreSQL port.",
        )
    except OSError:
        return None
    if answer == b"N" and mode in {"require", "verify-ca", "verify-full"}:
        return _error(
            name,
            f"the server does not offer TLS, and sslmode={mode} asks for it",
            code="target.tls_refused",
            hint="In a network that only you can reach, add sslmode=disable to the URL; a hosted server that refuses "
            "TLS is not to be trusted.",
        )
    if answer == b"S" and mode in {"verify-ca", "verify-full", "require"}:
        return _error(
            name,
            f"TLS failed (sslmode={mode}): {_reason(text)}",
            code="target.tls_refused",
            hint="Set database_ca_file to the certificate of the server's authority, and use the host name that the "
            "server's certificate is made out for.",
        )
    if answer not in {b"N", b"S"}:
        return _error(
            name,
            "what answers there is not PostgreSQL" if answer else "the server closed the connection at once",
            code="target.unreachable",
            hint="Check host and port, and that the server is up.",
        )
    return None
