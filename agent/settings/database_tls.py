"""How a connection to a database is protected: over a network verify-full, unless its URL says otherwise.

Facts: PostgreSQL documentation, "libpq: SSL Support" (what each sslmode protects against) and "Parameter Key Words".
Hosted Supabase's servers, direct and pooled, are vouched for by Supabase's own root, not by a public one.
"""

from __future__ import annotations

import os
import re
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit

FULL = "verify-full"
#: Supabase's production roots of 2021 and 2025, as its own CLI 3.1.0 carries them. The first is the dashboard's
#: `prod-ca-2021.crt`: SHA-256 8070 25AD 50D4 ED21 … E6CA FA.
SUPABASE_ROOTS = Path(__file__).with_name("supabase-ca.pem")
_SUPABASE = re.compile(r"(?:.+\.)?supabase\.(?:co|com|in|red)")
_PLACE = re.compile(r"\[(?P<v6>[^\]]*)\](?::\d*)?|(?P<name>[^:]*)(?::\d*)?")
_SYSTEM_ROOTS = (  # Debian and Alpine, Red Hat, others
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)
_MISSING = {
    "disable": "nothing is encrypted",
    "allow": "encryption is left to the server",
    "prefer": "whoever stands between can switch encryption off",
    "require": "whoever stands between can pass for the server",
    "verify-ca": "any other server of the same authority can pass for this one",
}


def protected(url: str, *, ca_file: Path | None = None) -> str:
    """The URL with what libpq needs to be sure of the server.

    A server on this machine (loopback, a Unix socket) is left as it is. `sslmode` and `sslrootcert` that the URL has
    are kept.

    Args:
        url: as `check_database_url` accepts it.
        ca_file: the certificates of who may vouch for the server; None: Supabase's own for its hosts, else
            `~/.postgresql/root.crt` (libpq's default), else the system's.
    """
    try:
        names = hosts(url)
    except ValueError:
        return url  # whoever opens it says what is wrong with it
    if all(is_local(name) for name in names):
        return url
    query = parse_qs(urlsplit(url).query)
    added = {}
    mode = query.get("sslmode", [""])[-1]
    if not mode:
        mode = added["sslmode"] = FULL
    if "sslrootcert" not in query and (ca_file is not None or mode.startswith("verify-")):
        roots = str(ca_file.absolute()) if ca_file is not None else _roots(names)
        if roots:
            added["sslrootcert"] = roots
    parameters = "&".join(f"{name}={quote(value, safe='')}" for name, value in added.items())
    return url if not added else f"{url}{'&' if '?' in url else '?'}{parameters}"


def what_is_missing(url: str) -> str:
    """What somebody on the network could do, in words, or "" if the server is verified or on this machine."""
    if all(is_local(name) for name in hosts(url)):
        return ""
    mode = parse_qs(urlsplit(url).query).get("sslmode", [FULL])[-1]
    return f"sslmode={mode}: {_MISSING[mode]}" if mode in _MISSING else ""


def hosts(url: str) -> list[str]:
    """The names or addresses by which the server is known: what libpq compares with its certificate."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    if "host" in query:
        return query["host"][-1].split(",")
    place = parts.netloc.rpartition("@")[2]
    if not place and "hostaddr" in query:
        return query["hostaddr"][-1].split(",")
    found = []
    for one in place.split(","):
        match = _PLACE.fullmatch(one)
        found.append(unquote((match["v6"] or match["name"] or "") if match else one))
    return found


def is_local(host: str) -> bool:
    """Whether nobody else's machine is between: a Unix socket, or loopback."""
    if not host or host.startswith(("/", "@")) or host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _roots(names: list[str]) -> str:
    if all(_SUPABASE.fullmatch(name.lower()) for name in names):
        return str(SUPABASE_ROOTS)
    if (Path.home() / ".postgresql" / "root.crt").is_file():
        return ""  # libpq takes it by itself
    chosen = [os.environ.get("SSL_CERT_FILE", ""), *_SYSTEM_ROOTS]
    return next((path for path in chosen if path and Path(path).is_file()), "system")
