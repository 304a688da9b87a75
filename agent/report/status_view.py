"""A project at one look."""

from __future__ import annotations

from agent.core.models import BackupRecord, Model
from agent.report.models import DeployView


class StatusView(Model):
    """What the database has, what is pending, what runs, and what ran last.

    `problem`: why it is not known what is pending (no connection, a wrong runbook); "" if it is.
    Then `pending` and `applied` are known.
    """

    project: str
    database: str
    problem: str = ""
    applied: int = 0
    last_applied: str = ""
    pending: tuple[str, ...] = ()
    last_backup: BackupRecord | None = None
    running: DeployView | None = None
    last: DeployView | None = None
