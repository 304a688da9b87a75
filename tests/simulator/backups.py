"""Backups, point-in-time restore, restore points: the files are the project's real server's own (`physical.py`)."""

from __future__ import annotations

from typing import Any

from .model import Call, Refused
from .operations import operation


@operation("v1-list-all-backups")
async def list_backups(call: Call) -> dict[str, Any]:
    """Daily backups, or the window of PITR: with PITR on, daily backups stop."""
    project = call.project
    pitr = has_pitr(call)
    return {
        "region": project.region,
        "walg_enabled": True,
        "pitr_enabled": pitr,
        "backups": []
        if pitr
        else [
            {
                "id": one.id,
                "is_physical_backup": one.physical,
                "status": one.status,
                "inserted_at": one.made_at.isoformat(),
            }
            for one in project.backups
        ],
        "physical_backup_data": {},
    }


def has_pitr(call: Call) -> bool:
    """Whether the PITR add-on was bought."""
    return any(one.startswith("pitr_") for one in call.project.addons)


@operation("v1-get-backup-schedule")
async def schedule(call: Call) -> dict[str, Any]:
    if call.platform.plan != "enterprise":
        raise Refused(402, "Backup schedule is only available on the Enterprise plan")
    return {"schedule_for": call.project.schedule, "updated_at": call.project.schedule_at.isoformat()}
