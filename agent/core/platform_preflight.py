"""What the platform's answers mean for a deploy: answers in, findings out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network

from agent.core.models import Finding, Model, Severity
from agent.core.platform import (
    Backups,
    Disk,
    Entitlements,
    Maintenance,
    NetworkBans,
    NetworkRestrictions,
    Project,
    ReadOnly,
    ServiceHealth,
    UpgradeEligibility,
    UpgradeStatus,
    Window,
    instant,
)
from agent.core.units import duration
from agent.errors import AgentError

#: The platform is doing, or has done, something to the whole project: a deploy would be lost, or get in its way.
_STOPS = frozenset(
    {
        "INACTIVE",
        "COMING_UP",
        "GOING_DOWN",
        "REMOVED",
        "INIT_FAILED",
        "PAUSING",
        "PROMOTING",
        "RESIZING",
        "RESTARTING",
        "RESTORE_FAILED",
        "RESTORING",
        "UPGRADING",
    }
)


#: Nobody answers, or not to this token: the reason is the same for every question.
_NOBODY = frozenset({"platform.unreachable", "platform.timeout", "platform.tls_refused", "platform.token_refused"})

_NO_PROJECT = ("platform.not_found", "v1-get-project")


class PlatformLimits(Model):
    """From where on something counts.

    `disk_warning`, `disk_error`: used share of the disk; at 95 % the platform makes a database read-only (Supabase
    documentation, "Database size"). `daily_backup_s`: age of the last daily backup. `pitr_s`: how far a point-in-time
    restore may lag behind now (WAL is shipped every two minutes). `maintenance_s`: how soon a window is worth telling.
    """

    disk_warning: float = 0.85
    disk_error: float = 0.95
    daily_backup_s: float = 26 * 3600
    pitr_s: float = 15 * 60
    maintenance_s: float = 2 * 3600


def _finding(code: str, severity: Severity, message: str, hint: str = "", **where: str | int) -> Finding:
    return Finding(code=f"preflight.{code}", severity=severity, message=message, hint=hint, where=where)


def project(found: Project, *, major: int) -> list[Finding]:
    """What the platform says of the whole project.

    Args:
        major: of the server that the agent is connected to.
    """
    engine = found.database.postgres_engine.partition("-")[0]
    findings = []
    if engine.isdigit() and int(engine) != major:
        findings.append(
            _finding(
                "platform_mismatch",
                Severity.WARNING,
                f"the platform says that project {found.ref} runs PostgreSQL {found.database.version}, and the server "
                f"that the agent is connected to is version {major}",
                "Check that platform.ref and database_url mean the same project.",
            )
        )
    if found.healthy:
        return findings
    stops = found.status in _STOPS
    return [
        *findings,
        _finding(
            "platform_status",
            Severity.ERROR if stops else Severity.WARNING,
            f"project {found.name} ({found.ref}) is {found.status} on the platform, not ACTIVE_HEALTHY",
            "Wait until it is ACTIVE_HEALTHY, or look at it in the Supabase dashboard."
            if stops
            else "Look at the project in the Supabase dashboard.",
        ),
    ]


def health(found: Sequence[ServiceHealth]) -> list[Finding]:
    """Services that are not in full work."""
    return [
        _finding(
            "service_unhealthy",
            Severity.WARNING,
            f"the platform says that {one.name} is {one.status}{f': {one.error}' if one.error else ''}",
            "Look at the project in the Supabase dashboard; a deploy would be taken for the cause.",
            service=one.name,
        )
        for one in found
        if not one.healthy
    ]


def read_only(found: ReadOnly) -> list[Finding]:
    """Read-only mode, and the short time in which it is lifted."""
    until = f" until {found.override_active_until}" if found.override_active_until else ""
    if found.enabled and not found.override_enabled:
        return [
            _finding(
                "read_only",
                Severity.ERROR,
                "the platform has made the database read-only",
                "It does this when the disk is full: free or add disk space, then lift it in the Supabase dashboard.",
            )
        ]
    if found.override_enabled:
        return [
            _finding(
                "read_only",
                Severity.WARNING,
                f"the platform's read-only mode is lifted for a time only{until}",
                "Free or add disk space before it returns, perhaps in the middle of the deploy.",
            )
        ]
    return []


def disk(found: Disk, limits: PlatformLimits) -> list[Finding]:
    """How full the disk is; a migration that rewrites a table needs room for a second copy."""
    if found.size_bytes <= 0:
        return []
    share = found.used_bytes / found.size_bytes
    if share < limits.disk_warning:
        return []
    return [
        _finding(
            "platform_disk",
            Severity.ERROR if share >= limits.disk_error else Severity.WARNING,
            f"the database's disk is {share:.0%} full: {found.free_bytes / (1 << 30):,.1f} GiB of "
            f"{found.size_bytes / (1 << 30):,.1f} GiB are free",
            "Free or add disk space: at 95 % the platform makes the database read-only.",
        )
    ]


def upgrade(found: UpgradeStatus) -> list[Finding]:
    """An upgrade of Postgres that has begun and has not ended."""
    one = found.upgrade
    if one is None or not one.running:
        return []
    return [
        _finding(
            "upgrade_running",
            Severity.ERROR,
            f"an upgrade to PostgreSQL {one.target_version:g} has been running since {one.initiated_at}"
            f"{f' ({one.progress})' if one.progress else ''}",
            "Wait until it has ended: it takes the project offline and drops replication slots.",
        )
    ]


def upgrade_offered(found: UpgradeEligibility) -> list[Finding]:
    """An upgrade of Postgres that could be begun."""
    if not found.eligible or found.latest_app_version == found.current_app_version:
        return []
    return [
        _finding(
            "upgrade_offered",
            Severity.INFO,
            f"an upgrade of Postgres is on offer: {found.current_app_version} to {found.latest_app_version}",
            "Not during a deploy: it takes the project offline. Begin it in the Supabase dashboard.",
        )
    ]


def settings(found: Mapping[str, str | int | float | bool]) -> list[Finding]:
    """Settings of Postgres, changed for the whole project, under which a deploy means something else."""
    role = str(found.get("session_replication_role", "origin"))
    if role == "origin":
        return []
    return [
        _finding(
            "triggers_off",
            Severity.WARNING,
            f"session_replication_role is {role} for the whole project: triggers do not fire, and foreign keys are not "
            "checked",
            "Set it back to origin in the project's Postgres settings before you change data.",
        )
    ]


def maintenance(found: Maintenance | None, *, now: datetime, limits: PlatformLimits) -> list[Finding]:
    """A maintenance window that is open, or opens soon.

    Args:
        found: None: the platform does not tell. Not every one does, so that never stops a deploy.
    """
    if found is None:
        message = "not checked: maintenance windows: the platform tells none for this project"
        return [_finding("not_checked", Severity.INFO, message)]
    if found.current is not None:
        return [_window("is open", found.current)]
    horizon = now + timedelta(seconds=limits.maintenance_s)
    near = [one for one in found.upcoming if (begins := instant(one.start_at)) is not None and now <= begins <= horizon]
    return [_window("opens soon", near[0])] if near else []


def _window(what: str, window: Window) -> Finding:
    return _finding(
        "maintenance",
        Severity.WARNING,
        f"a maintenance window of the platform {what}: {window.start_at} to {window.end_at}",
        "The platform may restart the project in it: deploy outside it, if you can.",
    )


def restrictions(found: NetworkRestrictions, *, address: str) -> list[Finding]:
    """Restrictions that leave out the agent, in force or about to be.

    Args:
        address: the agent's, as the database sees it; "": not known (a pooler is in between).
    """
    networks = found.networks
    if not address or not networks or any(_within(address, one) for one in networks):
        return []
    return [
        _finding(
            "network_restricted",
            Severity.WARNING,
            f"the agent's address {address} is in none of the networks that may connect "
            f"({found.status}: {', '.join(networks[:10])})",
            "Add it to the project's network restrictions: new connections, such as a restore's, would be refused.",
        )
    ]


def bans(found: NetworkBans, *, address: str) -> list[Finding]:
    """A ban of the agent's own address; `address` as of `restrictions`."""
    if not address or address not in found.banned:
        return []
    return [
        _finding(
            "network_banned",
            Severity.ERROR,
            f"the platform has banned the agent's address {address} after failed logins",
            "Unban it in the Supabase dashboard (Database, Settings), and find out who used a wrong password.",
        )
    ]


def backups(
    found: Backups, *, entitlements: Entitlements | None, now: datetime, limits: PlatformLimits
) -> list[Finding]:
    """What the platform itself could bring back: how old it is, and what the plan would allow.

    Args:
        entitlements: None: not known.
    """
    if found.pitr_enabled:
        if found.window.latest is None:
            return [_backup(Severity.WARNING, "point-in-time recovery is on, and the platform names no time to go to")]
        age = (now - datetime.fromtimestamp(found.window.latest, UTC)).total_seconds()
        late = age > limits.pitr_s
        said = f"point-in-time recovery reaches up to {duration(age)} ago"
        return [_backup(Severity.WARNING if late else Severity.INFO, said, "Ask Supabase why it lags." if late else "")]
    last = found.last
    offer = _offer(entitlements)
    if last is None or last.at is None:
        return [
            _backup(
                Severity.WARNING, "the platform has no backup of this project; the agent's own is the only one", offer
            )
        ]
    age = (now - last.at).total_seconds()
    said = f"the platform's last daily backup is {duration(age)} old; point-in-time recovery is off"
    return [_backup(Severity.WARNING if age > limits.daily_backup_s else Severity.INFO, said, offer)]


def _backup(severity: Severity, message: str, hint: str = "") -> Finding:
    return _finding("platform_backup", severity, message, hint)


def _offer(entitlements: Entitlements | None) -> str:
    pitr = entitlements.find("pitr.available_variants") if entitlements else None
    if pitr is None:
        return ""
    if not pitr.has_access:
        return "The plan does not include point-in-time recovery."
    return f"The plan allows point-in-time recovery ({', '.join(pitr.config.set) or 'an add-on'})."


def not_checked(unknown: Sequence[tuple[str, AgentError]], *, required: bool) -> list[Finding]:
    """What the platform could not be asked: one finding each, and one for all that have the same cause.

    Args:
        unknown: what is not known, and why.
        required: that stops the deploy.
    """
    severity = Severity.ERROR if required else Severity.WARNING
    nobody = _NOBODY
    if any((error.code, error.where.get("operation")) == _NO_PROJECT for _, error in unknown):
        nobody |= {"platform.not_found"}
    shared = [(about, error) for about, error in unknown if error.code in nobody]
    alone = [(about, error) for about, error in unknown if error.code not in nobody]
    found = [
        _finding(
            "not_checked",
            severity,
            f"not checked: {about}: {error.message}",
            error.hint,
            **{**error.where, "why": error.code},
        )
        for about, error in alone
    ]
    if shared:
        error = shared[0][1]
        things = "; ".join(about for about, _ in shared)
        found.append(
            _finding("not_checked", severity, f"not checked: {things}: {error.message}", error.hint, why=error.code)
        )
    return found


def _within(address: str, network: str) -> bool:
    try:
        return ip_address(address) in ip_network(network, strict=False)
    except ValueError:  # a form that nobody knows is not held against the agent
        return True
