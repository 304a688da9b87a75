"""One simulated project: a real database, and the settings that only the platform knows."""

from __future__ import annotations

import asyncio
import datetime as dt
import secrets
import string
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import psycopg

from agent.edges.embedded import EmbeddedPostgres

from .pooler import SessionPooler

if TYPE_CHECKING:
    from .api import Api
    from .physical import Physical

HEALTHY = "ACTIVE_HEALTHY"
ORGANIZATION = "simulated-organization"


def new_ref() -> str:
    """A project ref: twenty lower-case letters."""
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(20))


def now() -> dt.datetime:
    """The time, with its zone."""
    return dt.datetime.now(dt.UTC)


@dataclass(frozen=True, kw_only=True)
class Backup:
    """An entry of the list of daily backups. `label` names its files, where a real copy was made."""

    id: int
    made_at: dt.datetime
    status: str = "COMPLETED"
    physical: bool = True
    label: str | None = None


@dataclass(kw_only=True, eq=False)
class Project:
    """A project and its state; a test may change any field between two calls.

    Args:
        postgres: the server that its database is on.
        database: the database's name there; a hosted project's is always `postgres`.
        status: as `GET /v1/projects/{ref}` tells it.
        addons: ids of the add-ons bought, such as `pitr_7` and `ipv4_default`.
        unhealthy: service of `/health` to the reason why it is not well.
        read_only: whether the platform has set the database read-only (disk full).
        pooler: the session pooler in front of the database.
        api: the stand-ins for PostgREST, Auth and Storage.
        physical: its physical backups, where the simulator was started with `restores`.
        polls: how often `GET /v1/projects/{ref}` was answered.
    """

    ref: str
    name: str
    postgres: EmbeddedPostgres
    database: str = "postgres"
    region: str = "eu-central-1"
    created_at: dt.datetime = field(default_factory=now)
    status: str = HEALTHY
    parent: str | None = None
    addons: set[str] = field(default_factory=lambda: {"ci_small"})
    unhealthy: dict[str, str] = field(default_factory=dict)
    read_only: bool = False
    read_only_until: dt.datetime | None = None
    ssl_enforced: bool = False
    backups: list[Backup] = field(default_factory=list)
    banned: list[str] = field(default_factory=list)
    allowed_v4: list[str] = field(default_factory=lambda: ["0.0.0.0/0"])
    allowed_v6: list[str] = field(default_factory=lambda: ["::/0"])
    restrictions_at: dt.datetime | None = None
    secrets: dict[str, str] = field(default_factory=dict)
    disk_bytes: int = 8 * 2**30
    disk_used: int | None = None
    upgrade: dict[str, Any] | None = None
    upgrade_to: str | None = None
    schemas: str = "public,graphql_public"
    search_path: str = "public, extensions"
    max_rows: int = 1000
    pool_size: int | None = 15
    pool_mode: str = "session"
    schedule: str = "02:00:00"
    schedule_at: dt.datetime = field(default_factory=now)
    jwt_secret: str = field(default_factory=lambda: secrets.token_urlsafe(32))
    numeric_id: int = field(default_factory=lambda: secrets.randbelow(10**7))
    pooler: SessionPooler | None = None
    version: str = "17.0.1.001"
    physical: Physical | None = None
    api: Api | None = None
    polls: int = 0
    polled: asyncio.Condition = field(default_factory=asyncio.Condition)

    def url(self, role: str = "postgres") -> str:
        """A direct connection as one of the embedded server's roles."""
        return self.postgres.url(self.database, role)

    @property
    def admin_url(self) -> str:
        """A direct connection as the superuser, which the platform has."""
        return self.postgres.admin_url(self.database)

    @property
    def password(self) -> str:
        """The password of `postgres`."""
        return urlsplit(self.url()).password or ""

    def pooler_url(self, role: str = "postgres") -> str:
        """The session pooler's URL, with the project's ref in the user's name."""
        assert self.pooler is not None
        return (
            f"postgresql://{role}.{self.ref}:{quote(self.password)}@{self.pooler.host}:{self.pooler.port}"
            f"/{quote(self.database)}"
        )

    async def answers(self) -> str | None:
        """Whether the database takes a connection; None, or why it does not."""
        try:
            async with await psycopg.AsyncConnection.connect(self.admin_url, connect_timeout=5) as connection:
                await connection.execute("SELECT 1")
        except psycopg.OperationalError as error:
            return str(error).strip().splitlines()[0]
        return None
