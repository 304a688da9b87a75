"""What a database URL must be before anything connects with it. No message here ever shows a part of the URL."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from pydantic import SecretStr

from agent.errors import InputError, TargetError

_POOLER_PORT = 6543  # Supavisor's and PgBouncer's transaction mode on Supabase
_SHAPE = "Write postgresql://user:password@host:5432/database, with @ : / ? # and % in the password percent-encoded."
_DIRECT = re.compile(r"db\.([a-z0-9]{20})\.supabase\.(?:co|red|in)")
_POOLER_USER = re.compile(r"\w+\.([a-z0-9]{20})")


def check_database_url(url: str, *, field: str = "database_url") -> str:
    """The URL, if the agent can work with it.

    Args:
        field: what the user calls it.

    Raises:
        InputError: `settings.database_url`: not a PostgreSQL URL, or parts of it cannot be what was meant.
        TargetError: `target.transaction_pooler`: it leads to a pooler in transaction mode. Session settings, advisory
            locks and exported snapshots do not survive there, so no deploy would be safe.
    """
    try:
        return _checked(url.strip(), field)
    except InputError as error:
        message = f"{field} {error.message}"
        raise InputError(message, code=error.code, hint=error.hint, where={"field": field}) from None


def _checked(url: str, field: str) -> str:
    scheme, separator, _ = url.partition("://")
    if not separator or scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise _wrong("is not a PostgreSQL URL")
    if "+" in scheme:
        raise _wrong("names a driver after the +; the agent wants a plain URL", "Remove the + and the driver's name.")
    if "[YOUR-PASSWORD]" in url.upper():
        raise _wrong("still has the placeholder [YOUR-PASSWORD]", "Put the database password in its place.")
    if "#" in url:
        raise _wrong("has a # that is not percent-encoded", "Write %23 for # in the password.")
    parts, port = _split(url)
    if not parts.hostname and "host=" not in parts.query:
        raise _wrong("names no host")
    if not re.fullmatch(r"[\w.:%,-]*", parts.hostname or "") or "@" in parts.path:
        raise _wrong("has a password with characters that are not percent-encoded")
    query = parse_qs(parts.query)
    if port == _POOLER_PORT or str(_POOLER_PORT) in query.get("port", []) or query.get("pgbouncer") == ["true"]:
        raise TargetError(
            f"{field} leads to a connection pooler in transaction mode (port {_POOLER_PORT}); session settings, "
            "advisory locks and exported snapshots do not survive there",
            code="target.transaction_pooler",
            hint=_instead(parts.hostname or ""),
            where={"field": field},
        )
    return url


def _instead(host: str) -> str:
    """Where sessions are, for who wrote 6543. Both poolers and the direct host have them on 5432."""
    if host.endswith(".pooler.supabase.com"):
        return f"Use the session pooler, {host}:5432: the same host, user and password."
    if _DIRECT.fullmatch(host):
        return (
            f"Use {host}:5432, the direct connection (IPv6 only, unless the project has the IPv4 add-on), or the "
            "session pooler, which the dashboard shows under Connect."
        )
    return "Use the direct connection or the session pooler: the same host with port 5432."


def supabase_ref(url: str) -> str:
    """The ref of the hosted project that a database URL leads to, or "": from the direct host or the pooler's user."""
    parts, _ = _split(url)
    direct = _DIRECT.fullmatch(parts.hostname or "")
    found = direct or _POOLER_USER.fullmatch(unquote(parts.username or ""))
    return found[1] if found else ""


def same_server(url: str, other: str) -> bool:
    """Whether two database URLs lead to one server: the same Supabase project, or the same host and port."""
    if not other.startswith("postgres"):
        return False
    if (ref := supabase_ref(url)) and ref == supabase_ref(other):
        return True
    places = [(parts.hostname, port or 5432) for parts, port in (_split(url), _split(other))]
    return places[0] == places[1]


def project_of(url: str) -> str:
    """A project's name from its database URL: the Supabase ref where there is one, else the database's name."""
    parts, _ = _split(url)
    return (
        supabase_ref(url)
        or re.sub(r"[^a-z0-9._-]+", "-", unquote(parts.path).strip("/").lower()).strip("-._")
        or "default"
    )


def place_of(url: SecretStr | None) -> tuple[str, str, tuple[str, ...]]:
    """Which database a URL leads to, whoever connects: hosts and ports, name, and what the query says of them."""
    if url is None:
        return "", "", ()
    parts, _ = _split(url.get_secret_value())
    query = parse_qs(parts.query)
    said = tuple(f"{name}={query[name][-1]}" for name in ("host", "hostaddr", "port", "dbname") if name in query)
    return parts.netloc.rpartition("@")[2], parts.path, said


def passwords_in(url: str) -> list[str]:
    """The passwords that a URL holds, encoded and decoded, for the redactor."""
    try:
        parts = urlsplit(url)
        found = [parts.password or "", *parse_qs(parts.query).get("password", [])]
    except ValueError:
        return []
    return [form for each in found if each for form in (each, unquote(each))]


def _split(url: str) -> tuple[SplitResult, int | None]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        # The exception's text quotes what it took for the port; with an unencoded password that is a part of it.
        raise _wrong("has a port that is no number, or a password that is not percent-encoded") from None
    return parts, port


def _wrong(what: str, hint: str = _SHAPE) -> InputError:
    return InputError(what, code="settings.database_url", hint=hint)
