"""Backups, point-in-time restore, restore points: the files are the project's real server's own (`physical.py`).

What is not established about the platform, and is assumed here: a restore with subscriptions or replication slots left
ends in RESTORE_FAILED (the documentation only says that they must be dropped first), and a moment outside of the window
is refused with 400.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Coroutine
from typing import Any

import psycopg

from agent.errors import AgentError

from .model import Call, Refused
from .operations import operation
from .physical import Physical
from .project import HEALTHY, Project, now


@operation("v1-list-all-backups")
async def list_backups(call: Call) -> dict[str, Any]:
    """Daily backups, or the window of PITR: with PITR on, daily backups stop."""
    project = call.project
    window: dict[str, int] = {}
    if has_pitr(project) and project.physical is not None:
        window = {
            "earliest_physical_backup_date_unix": math.ceil(project.physical.earliest.timestamp()),
            "latest_physical_backup_date_unix": int(now().timestamp()),
        }
    return {
        "region": project.region,
        "walg_enabled": True,
        "pitr_enabled": has_pitr(project),
        "backups": []
        if has_pitr(project)
        else [
            {
                "id": one.id,
                "is_physical_backup": one.physical,
                "status": one.status,
                "inserted_at": one.made_at.isoformat(),
            }
            for one in project.backups
        ],
        "physical_backup_data": window,
    }


def has_pitr(project: Project) -> bool:
    """Whether the PITR add-on was bought."""
    return any(one.startswith("pitr_") for one in project.addons)


@operation("v1-restore-pitr-backup")
async def restore_pitr(call: Call) -> None:
    project = call.project
    if not has_pitr(project):
        raise Refused(400, "PITR is not enabled for this project.")
    physical = _ready(project)
    moment = dt.datetime.fromtimestamp(min(call.body["recovery_time_target_unix"], 2**33), tz=dt.UTC)
    if not physical.earliest <= moment <= now():
        raise Refused(400, "The recovery time target is outside of the available window")
    shifted = max(physical.earliest, moment + dt.timedelta(seconds=call.platform.restoring.shift_s))
    _begin(call, lambda: physical.restore_to(shifted))


@operation("v1-create-restore-point")
async def create_restore_point(call: Call) -> dict[str, Any]:
    _selected(call)
    physical, name = _ready(call.project), call.body["name"]
    if name in physical.points:
        raise Refused(400, "A restore point of this name exists")
    if not name or "\0" in name or len(name.encode()) >= 64:
        raise Refused(400, "name must have 1 to 63 bytes")  # Postgres's own limit
    try:
        made = await physical.make_point(name)
    except psycopg.OperationalError as error:
        raise Refused(544, "Connection terminated due to connection timeout") from error
    return _point(name, made)


@operation("v1-get-restore-point")
async def get_restore_point(call: Call) -> dict[str, Any]:
    """A restore point by its name, or the last one."""
    _selected(call)
    points = call.project.physical.points if call.project.physical is not None else {}
    name = call.query.get("name") or next(reversed(points), None)
    if name is None or name not in points:
        raise Refused(404, "Restore point not found")
    return _point(name, points[name])


@operation("v1-undo")
async def undo(call: Call) -> None:
    _selected(call)
    physical, name = _ready(call.project), call.body["name"]
    if name not in physical.points:
        raise Refused(404, "Restore point not found")
    _begin(call, lambda: physical.restore_point(name))


@operation("v1-restore-physical-backup")
async def restore_backup(call: Call) -> None:
    project = call.project
    found = next((one for one in project.backups if one.id == call.body["id"]), None)
    if found is None or found.label is None:
        raise Refused(404, "Backup not found")
    physical, label = _ready(project), found.label
    _begin(call, lambda: physical.restore_backup(label))


@operation("v1-get-backup-schedule")
async def schedule(call: Call) -> dict[str, Any]:
    if call.platform.plan != "enterprise":
        raise Refused(402, "Backup schedule is only available on the Enterprise plan")
    return {"schedule_for": call.project.schedule, "updated_at": call.project.schedule_at.isoformat()}


@operation("v1-update-backup-schedule")
async def update_schedule(call: Call) -> dict[str, Any]:
    if call.platform.plan != "enterprise":
        raise Refused(402, "Backup schedule is only available on the Enterprise plan")
    call.project.schedule, call.project.schedule_at = call.body["schedule_for"], now()
    found: dict[str, Any] = await schedule(call)
    return found


def _selected(call: Call) -> None:
    if not call.platform.restore_points:
        raise Refused(403, "Restore points are not available for this organization")


def _ready(project: Project) -> Physical:
    if project.physical is None:
        raise Refused(400, "There is no physical backup of this project: start the simulator with restores=True")
    if project.status != HEALTHY:
        raise Refused(400, f"Project is not in a state to be restored: {project.status}")
    return project.physical


def _point(name: str, made: dt.datetime) -> dict[str, Any]:
    return {"name": name, "status": "AVAILABLE", "completed_on": made.isoformat()}


def _begin(call: Call, restore: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Restore in the background; the project is RESTORING at once, unless a script says later."""
    platform, project = call.platform, call.project
    if not platform.restoring.late_polls:
        project.status = "RESTORING"
    platform.spawn(_restore(call, project, restore))


async def _restore(call: Call, project: Project, restore: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """The restore itself, as `Platform.script_restores` wants it to go."""
    script = call.platform.restoring
    seen = project.polls
    await _polled(project, seen + script.late_polls)
    project.status = "RESTORING"
    physical = project.physical
    assert physical is not None
    try:
        if await _held(project) or script.outcome == "failed":
            await physical.stop()
            project.status = "RESTORE_FAILED"
            return
        if script.outcome == "stuck":
            await physical.stop()
            script.stopped.set()
            await script.released.wait()
        await restore()
        await _polled(project, seen + script.late_polls + script.polls)
    except AgentError:
        project.status = "RESTORE_FAILED"
    else:
        project.status = HEALTHY


async def _polled(project: Project, times: int) -> None:
    async with project.polled:
        await project.polled.wait_for(lambda: project.polls >= times)


async def _held(project: Project) -> bool:
    """Whether subscriptions or replication slots are left."""
    async with await psycopg.AsyncConnection.connect(project.admin_url) as connection:
        cursor = await connection.execute(
            "SELECT EXISTS (SELECT FROM pg_subscription) OR EXISTS (SELECT FROM pg_replication_slots)"
        )
        row = await cursor.fetchone()
    return bool(row and row[0])
