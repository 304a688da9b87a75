"""Projects, organizations, health, and the platform's settings of a project."""

from __future__ import annotations

import datetime as dt
from typing import Any

from .model import Call, Refused
from .operations import operation
from .project import HEALTHY, ORGANIZATION, Project, now

_ENGINE = "17"


@operation("v1-list-all-projects")
async def list_projects(call: Call) -> list[dict[str, Any]]:
    return [_project(one) for one in call.platform.projects.values() if one.status != "REMOVED"]


@operation("v1-get-project")
async def get_project(call: Call) -> dict[str, Any]:
    project = call.project
    found = _project(project)
    async with project.polled:
        project.polls += 1
        project.polled.notify_all()
    return found


@operation("v1-update-a-project")
async def update_project(call: Call) -> dict[str, Any]:
    call.project.name = call.body["name"]
    return _short(call.project)


@operation("v1-list-all-organizations")
async def list_organizations(call: Call) -> list[dict[str, Any]]:
    slug = call.platform.organization
    return [{"id": slug, "slug": slug, "name": "Simulated organization"}]


@operation("v1-get-an-organization")
async def get_organization(call: Call) -> dict[str, Any]:
    _own(call)
    return {
        "id": call.platform.organization,
        "name": "Simulated organization",
        "plan": call.platform.plan,
        "opt_in_tags": [],
        "allowed_release_channels": ["ga", "preview"],
    }


@operation("v1-list-organization-members")
async def members(call: Call) -> list[dict[str, Any]]:
    _own(call)
    return [{"user_id": call.platform.user, "user_name": call.platform.user, "role_name": "Owner", "mfa_enabled": True}]


@operation("v1-get-all-projects-for-organization")
async def organization_projects(call: Call) -> dict[str, Any]:
    _own(call)
    offset, limit = call.query.get("offset", 0), call.query.get("limit", 100)
    wanted = call.query.get("search", "").lower()
    statuses = [one for one in call.query.get("statuses", "").split(",") if one]
    found = [
        one
        for one in call.platform.projects.values()
        if wanted in one.name.lower() and (not statuses or one.status in statuses)
    ]
    key, _, direction = call.query.get("sort", "name_asc").partition("_")
    found.sort(key=lambda one: one.name if key == "name" else one.created_at.isoformat(), reverse=direction == "desc")
    return {
        "projects": [
            {
                "ref": one.ref,
                "name": one.name,
                "cloud_provider": "AWS",
                "region": one.region,
                "is_branch": one.parent is not None,
                "status": one.status,
                "inserted_at": one.created_at.isoformat(),
                "databases": [
                    {
                        "infra_compute_size": "small",
                        "region": one.region,
                        "status": one.status if one.status in _DATABASE_STATUSES else "UNKNOWN",
                        "cloud_provider": "AWS",
                        "identifier": one.ref,
                        "type": "PRIMARY",
                    }
                ],
            }
            for one in found[offset : offset + limit]
        ],
        "pagination": {"count": len(found), "limit": limit, "offset": offset},
    }


_DATABASE_STATUSES = {
    "ACTIVE_HEALTHY",
    "ACTIVE_UNHEALTHY",
    "COMING_UP",
    "GOING_DOWN",
    "INIT_FAILED",
    "REMOVED",
    "RESTORING",
    "RESTARTING",
    "RESIZING",
}


@operation("v1-get-profile")
async def profile(call: Call) -> dict[str, Any]:
    user = call.platform.user
    return {"gotrue_id": user, "primary_email": f"{user}@example.com", "username": user}


@operation("v1-get-organization-entitlements")
async def entitlements(call: Call) -> dict[str, Any]:
    """What the plan allows, for the keys that say something about backups, branches and pausing."""
    _own(call)
    plan = call.platform.plan
    paid = plan != "free"
    retention = {"free": 0, "pro": 7, "team": 14, "enterprise": 30}.get(plan, 7)
    variants = ["pitr_7", "pitr_14", "pitr_28"] if paid else []
    return {
        "entitlements": [
            _entitlement("backup.retention_days", "numeric", paid, value=retention, unlimited=False, unit="days"),
            _entitlement("backup.schedule", "boolean", plan == "enterprise"),
            _entitlement("backup.restore_to_new_project", "boolean", paid),
            _entitlement("pitr.available_variants", "set", paid, set=variants),
            _entitlement("branching_limit", "numeric", paid, value=50 if paid else 0, unlimited=False, unit="count"),
            _entitlement("branching_persistent", "boolean", paid),
            _entitlement("project_pausing", "boolean", not paid),
            _entitlement("ipv4", "boolean", paid),
        ]
    }


def _entitlement(key: str, kind: str, has: bool, **more: Any) -> dict[str, Any]:
    return {"feature": {"key": key, "type": kind}, "hasAccess": has, "type": kind, "config": {"enabled": has, **more}}


@operation("v1-get-services-health")
async def health(call: Call) -> list[dict[str, Any]]:
    """A service is as well as the database that it needs, unless the test says that it is not."""
    project = call.project
    reason = await project.answers()
    return [_service(project, name, reason) for name in dict.fromkeys(call.query["services"])]


def _service(project: Project, name: str, reason: str | None) -> dict[str, Any]:
    error = project.unhealthy.get(name) or reason
    status = "UNHEALTHY" if error else HEALTHY
    if reason is not None and project.status in ("RESTORING", "COMING_UP", "RESTARTING"):
        status = "COMING_UP"
    found: dict[str, Any] = {"name": name, "healthy": error is None, "status": status}
    if error is not None:
        found["error"] = error
    elif name == "auth":
        found["info"] = {"name": "GoTrue", "version": "v2.180.0", "description": "GoTrue is a user registration API"}
    elif name == "realtime":
        found["info"] = {"healthy": True, "db_connected": True, "replication_connected": True, "connected_cluster": 1}
    elif name == "rest":
        found["info"] = {"db_schema": project.schemas}
    return found


def _own(call: Call) -> None:
    if call.path["slug"] != call.platform.organization:
        raise Refused(404, "Organization not found")


def _short(project: Project) -> dict[str, Any]:
    return {"id": project.numeric_id, "ref": project.ref, "name": project.name}


def _project(project: Project) -> dict[str, Any]:
    return {
        "id": project.ref,
        "ref": project.ref,
        "organization_id": ORGANIZATION,
        "organization_slug": ORGANIZATION,
        "name": project.name,
        "region": project.region,
        "created_at": project.created_at.isoformat(),
        "status": project.status,
        "database": {
            "host": f"db.{project.ref}.supabase.co",
            "version": project.version,
            "postgres_engine": _ENGINE,
            "release_channel": "ga",
        },
    }


_WINDOW = dt.timedelta(hours=2)
_WEEK = dt.timedelta(days=7)


@operation("v2-list-organization-maintenance-windows")
async def maintenance(call: Call) -> dict[str, Any]:
    """Sundays from two to four o'clock UTC, in every region that has a project; `Platform.maintenance` is open now."""
    _own(call)
    today = now().replace(hour=2, minute=0, second=0, microsecond=0)
    first = today + dt.timedelta(days=(6 - today.weekday()) % 7)
    first += _WEEK if first <= now() else dt.timedelta()
    opened = call.platform.maintenance
    attributes = {
        "window": {"day": "sun", "start_utc": "02:00", "duration_minutes": 120},
        "current_window": _occurrence(*opened) if opened else None,
        "next_windows": [_occurrence(one, one + _WINDOW) for one in (first + _WEEK * week for week in range(5))],
    }
    regions = sorted({one.region for one in call.platform.projects.values()})
    return {"data": [{"type": "maintenance_window", "id": one, "attributes": attributes} for one in regions]}


def _occurrence(begins: dt.datetime, ends: dt.datetime) -> dict[str, str]:
    return {"start_at": begins.isoformat(), "end_at": ends.isoformat()}
