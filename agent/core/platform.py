"""What the Supabase platform answers, as values.

The models hold the fields that the agent reads, under the names of the Management API; whatever else an answer has is
left out. They are strict about types (a text is no number), and open about words: every status is a plain `str`, and
one that nobody has seen yet is neither an error nor taken for a good one.

Facts: the OpenAPI document of the Management API; `tests/contracts/management-api.openapi.json` is what the tests hold
these models against.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AliasChoices, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr

ACTIVE_HEALTHY = "ACTIVE_HEALTHY"
RESTORING = "RESTORING"
RESTORE_FAILED = "RESTORE_FAILED"
COMPLETED = "COMPLETED"
AVAILABLE = "AVAILABLE"
SESSION_PORT = 5432

HEALTH_SERVICES = ("auth", "db", "db_postgres_user", "pooler", "realtime", "rest", "storage", "pg_bouncer")
"""What `health` can be asked about."""


def _empty(value: object) -> object:
    return "" if value is None else value


Text = Annotated[str, BeforeValidator(_empty)]
"""A text that the API may also leave out, or answer with null: then "". """


class PlatformModel(BaseModel):
    """Base of the answers: immutable, unknown fields ignored, types taken as they are sent."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        strict=True,
        validate_by_name=True,
        validate_by_alias=True,
        hide_input_in_errors=True,
        defer_build=True,
    )


def instant(text: str) -> datetime | None:
    """A time that the API sends as text (ISO 8601; without a zone: UTC), or None where it cannot be read."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


class Database(PlatformModel):
    """Where the project's database is. `version`: for instance `17.4.1.054`; `postgres_engine`: `17`."""

    host: str
    version: str
    postgres_engine: str
    release_channel: str


class Project(PlatformModel):
    """One project. `status`: ACTIVE_HEALTHY, INACTIVE (paused), COMING_UP, RESTORING, RESTORE_FAILED or another."""

    ref: str
    name: str
    region: str
    status: str
    organization_slug: str
    database: Database

    @property
    def healthy(self) -> bool:
        """In full work; every other status, known or not, is not."""
        return self.status == ACTIVE_HEALTHY

    @property
    def restoring(self) -> bool:
        """A restore is under way."""
        return self.status == RESTORING

    @property
    def restore_failed(self) -> bool:
        """A restore has failed, and the platform has given up."""
        return self.status == RESTORE_FAILED


class ServiceHealth(PlatformModel):
    """One service of the project. `status`: ACTIVE_HEALTHY, COMING_UP, UNHEALTHY; `error`: its own words, or ""."""

    name: str
    status: str
    error: Text = ""

    @property
    def healthy(self) -> bool:
        """In full work."""
        return self.status == ACTIVE_HEALTHY


class DailyBackup(PlatformModel):
    """One backup that the platform took by itself. `status`: COMPLETED, FAILED, PENDING, REMOVED, ARCHIVED."""

    id: int
    status: str
    inserted_at: str
    is_physical: bool = Field(validation_alias=AliasChoices("is_physical_backup", "is_physical"))

    @property
    def at(self) -> datetime | None:
        """When it was taken; None where the API's text cannot be read."""
        return instant(self.inserted_at)

    @property
    def completed(self) -> bool:
        """It is there and whole."""
        return self.status == COMPLETED


class PitrWindow(PlatformModel):
    """What a point-in-time restore can reach, in unix seconds; None: not told."""

    earliest: int | None = Field(
        default=None, validation_alias=AliasChoices("earliest_physical_backup_date_unix", "earliest")
    )
    latest: int | None = Field(
        default=None, validation_alias=AliasChoices("latest_physical_backup_date_unix", "latest")
    )


class Backups(PlatformModel):
    """The platform's backups. With PITR enabled there are no daily ones."""

    pitr_enabled: bool
    walg_enabled: bool = False
    daily: tuple[DailyBackup, ...] = Field(default=(), validation_alias=AliasChoices("backups", "daily"))
    window: PitrWindow = Field(default=PitrWindow(), validation_alias=AliasChoices("physical_backup_data", "window"))

    @property
    def last(self) -> DailyBackup | None:
        """The newest that is completed and has a time that can be read."""
        timed = [(one.at, one.id, one) for one in self.daily if one.completed and one.at is not None]
        return max(timed, default=(None, 0, None))[2]


class RestorePoint(PlatformModel):
    """A named restore point. `status`: AVAILABLE, PENDING, FAILED, REMOVED."""

    name: str
    status: str
    completed_on: Text = ""

    @property
    def available(self) -> bool:
        """`undo` can go back to it."""
        return self.status == AVAILABLE


class ReadOnly(PlatformModel):
    """Read-only mode: the platform's answer to a full disk. `override_active_until`: a time as text, or ""."""

    enabled: bool
    override_enabled: bool
    override_active_until: Text = ""


class DiskMetrics(PlatformModel):
    """Bytes of the database's file system."""

    fs_size_bytes: float
    fs_used_bytes: float
    fs_avail_bytes: float


class Disk(PlatformModel):
    """The disk as it was at `timestamp`."""

    timestamp: str
    metrics: DiskMetrics

    @property
    def size_bytes(self) -> float:
        """The whole file system."""
        return self.metrics.fs_size_bytes

    @property
    def used_bytes(self) -> float:
        """What is in use."""
        return self.metrics.fs_used_bytes

    @property
    def free_bytes(self) -> float:
        """What can still be written."""
        return self.metrics.fs_avail_bytes


class Pooler(PlatformModel):
    """An address of Supavisor, the pooler. `pool_mode`: transaction or session; `database_type`: PRIMARY or other."""

    identifier: str
    database_type: str
    db_user: str
    db_host: str
    db_port: int
    db_name: str
    pool_mode: str

    @property
    def primary(self) -> bool:
        """It leads to the database that can be written to."""
        return self.database_type == "PRIMARY"


class LoginRole(PlatformModel):
    """A temporary role that may log in for `ttl_seconds` from now."""

    role: str = Field(min_length=1)
    password: SecretStr = Field(min_length=1)
    ttl_seconds: int = Field(ge=1)


class Lint(PlatformModel):
    """One finding of an advisor. `level`: ERROR, WARN, INFO; `cache_key` names the same finding in every run."""

    name: str
    title: str
    level: str
    facing: str
    categories: tuple[str, ...]
    description: str
    detail: str
    remediation: str
    cache_key: str
    metadata: dict[str, Any] | None = None


class ApiKey(PlatformModel):
    """A key of the project's own API. `type`: publishable, secret, legacy, or ""; `name`: `anon`, `service_role`, ….

    `api_key`: None where the platform does not show it.
    """

    name: str
    type: Text = ""
    api_key: SecretStr | None = None


class NetworkBans(PlatformModel):
    """Addresses that the platform shuts out after failed logins."""

    banned: tuple[str, ...] = Field(validation_alias=AliasChoices("banned_ipv4_addresses", "banned"))


class AllowedNetworks(PlatformModel):
    """Networks that may connect; None: the API does not say, so there is no restriction of that kind."""

    v4: tuple[str, ...] | None = Field(default=None, validation_alias=AliasChoices("dbAllowedCidrs", "v4"))
    v6: tuple[str, ...] | None = Field(default=None, validation_alias=AliasChoices("dbAllowedCidrsV6", "v6"))


class NetworkRestrictions(PlatformModel):
    """Who may connect to the database and the pooler. `status`: applied, or stored (asked for, not yet in force)."""

    entitlement: str
    status: str
    config: AllowedNetworks

    @property
    def networks(self) -> tuple[str, ...]:
        """All allowed networks, in CIDR form."""
        return (*(self.config.v4 or ()), *(self.config.v6 or ()))


class Upgrade(PlatformModel):
    """An upgrade of Postgres. `status`: 0 runs, 1 done, 2 failed; `progress`: the platform's step, or ""."""

    initiated_at: str
    latest_status_at: str
    target_version: float
    status: float
    progress: Text = ""
    error: Text = ""

    @property
    def running(self) -> bool:
        """It has begun, and is neither done nor failed."""
        return self.status == 0


class UpgradeStatus(PlatformModel):
    """The last upgrade; None: there was none."""

    upgrade: Upgrade | None = Field(validation_alias=AliasChoices("databaseUpgradeStatus", "upgrade"))


class UpgradeEligibility(PlatformModel):
    """Whether Postgres can be upgraded, and to what. Versions for instance `supabase-postgres-17.4.1.054`."""

    eligible: bool
    current_app_version: str
    latest_app_version: str
    duration_estimate_hours: float


class AddonVariant(PlatformModel):
    """What of an add-on is booked: `ipv4_default`, `pitr_7`, `ci_small` and so on."""

    id: str
    name: str


class Addon(PlatformModel):
    """A booked add-on. `type`: ipv4, pitr, compute_instance and others."""

    type: str
    variant: AddonVariant


class Feature(PlatformModel):
    """A thing that a plan may allow, for instance `pitr.available_variants`."""

    key: str


class Allowance(PlatformModel):
    """How much of a feature is allowed; `value` of `unit`, or which of a `set`."""

    enabled: bool = False
    unlimited: bool = False
    value: float | None = None
    unit: Text = ""
    set: tuple[str, ...] = ()


class Entitlement(PlatformModel):
    """One feature, and whether the organization's plan has it."""

    feature: Feature
    has_access: bool = Field(validation_alias=AliasChoices("hasAccess", "has_access"))
    type: str
    config: Allowance


class Entitlements(PlatformModel):
    """What the organization's plan allows."""

    entitlements: tuple[Entitlement, ...]

    def find(self, key: str) -> Entitlement | None:
        """By its key, such as `backup.retention_days`; None: the API does not mention it."""
        return next((one for one in self.entitlements if one.feature.key == key), None)

    def allows(self, key: str) -> bool | None:
        """Whether the plan has it; None: the API does not mention it."""
        found = self.find(key)
        return None if found is None else found.has_access


class Window(PlatformModel):
    """From `start_at` (inclusive) to `end_at` (exclusive), ISO 8601."""

    start_at: str
    end_at: str


class Maintenance(PlatformModel):
    """The maintenance windows of one region: the open one, or None; and those that come."""

    current: Window | None = Field(validation_alias=AliasChoices("current_window", "current"))
    upcoming: tuple[Window, ...] = Field(validation_alias=AliasChoices("next_windows", "upcoming"))


class Branch(PlatformModel):
    """A branch: a project of its own, billed by the hour. `project_ref`: its own ref, by which it is asked for.

    `preview_project_status`: as `Project.status`, or "" where the API leaves it out.
    """

    id: str
    name: str
    project_ref: str
    parent_project_ref: str
    is_default: bool
    persistent: bool
    with_data: bool
    status: str
    created_at: str
    preview_project_status: Text = ""


class BranchDetail(PlatformModel):
    """A branch's state and database. Without the permission to see it there is no user and no password."""

    ref: str
    status: str
    postgres_version: str
    db_host: str
    db_port: int
    db_user: Text = ""
    db_pass: SecretStr | None = None

    @property
    def healthy(self) -> bool:
        """In full work."""
        return self.status == ACTIVE_HEALTHY


class Call(PlatformModel):
    """One request to the Management API, as evidence: nothing in it is secret.

    `status`: None: no answer. `seconds`: until the answer was read, or given up. `attempt`: counted from 1. `code`: the
    error's, or "".
    """

    method: str
    path: str
    status: int | None
    seconds: float
    attempt: int
    code: str = ""
