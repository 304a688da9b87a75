"""Finding the right connection to a project's database, from what the platform says."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from agent.core.models import Model
from agent.core.platform import SESSION_PORT, Addon, LoginRole, NetworkBans, Pooler, Project

_TRANSACTION_PORT = 6543
_BANNED_SHOWN = 5


class Known(Model):
    """What the platform answered; None: it could not be asked."""

    project: Project | None = None
    poolers: tuple[Pooler, ...] | None = None
    addons: tuple[Addon, ...] | None = None
    bans: NetworkBans | None = None


class Place(Model):
    """Where a database is reached. `user`: of the pooler, with the project's ref."""

    host: str
    port: int
    database: str
    user: str


def session_pooler(poolers: Sequence[Pooler], ref: str) -> Place | None:
    """The session pooler, or None: the platform names none.

    The platform tells of the pooler's transaction mode on 6543; the same host has sessions on 5432 (Supabase
    documentation, "Connect to your database").
    """
    found = next((one for one in poolers if one.primary), None)
    if found is None:
        return None
    port = SESSION_PORT if found.db_port == _TRANSACTION_PORT else found.db_port
    return Place(host=found.db_host, port=port, database=found.db_name, user=f"postgres.{ref}")


def advice(known: Known, *, ref: str, code: str, host: str) -> str:
    """What to do about a connection that could not be made, or "": the platform does not know either.

    Args:
        ref: the project's.
        code: of the error.
        host: where the agent tried to connect.
    """
    said = []
    project = known.project
    if project is not None and not project.healthy:
        said.append(f"The platform says that project {ref} is {project.status}.")
    direct = project is not None and host == project.database.host
    if direct and code == "target.unreachable" and known.addons is not None:
        booked = any(one.type == "ipv4" for one in known.addons)
        said.append(
            "The project has the IPv4 add-on, so its direct host has an IPv4 address too."
            if booked
            else "The project has no IPv4 add-on: its direct host has an IPv6 address only."
        )
    place = session_pooler(known.poolers or (), ref)
    if place is not None and (host, code) != (place.host, "target.unreachable"):
        said.append(f"The project's session pooler is {place.host}:{place.port}, user {place.user}.")
    banned = known.bans.banned if known.bans is not None else ()
    if banned:
        shown = ", ".join(banned[:_BANNED_SHOWN]) + (", …" if len(banned) > _BANNED_SHOWN else "")
        said.append(f"The platform shuts out {shown}: see whether this machine's address is among them.")
    return " ".join(said)


def login_url(role: LoginRole, *, url: str, place: Place | None, ref: str) -> str:
    """The database's URL with a temporary role in place of user and password.

    Args:
        url: `database_url`, or "": then the session pooler's.
        place: the session pooler; needed without `url`.
        ref: the project's; poolers want it behind the role's name.

    Raises:
        ValueError: neither `url` nor `place` is known.
    """
    password = quote(role.password.get_secret_value(), safe="")
    if url:
        parts = urlsplit(url)
        behind = f".{ref}" if unquote(parts.username or "").endswith(f".{ref}") else ""
        where = parts.netloc.rpartition("@")[2]
        return urlunsplit(parts._replace(netloc=f"{quote(role.role + behind, safe='')}:{password}@{where}"))
    if place is None:
        raise ValueError("neither a URL nor a pooler is known")
    user = quote(f"{role.role}.{ref}", safe="")
    return f"postgresql://{user}:{password}@{place.host}:{place.port}/{quote(place.database, safe='')}"
