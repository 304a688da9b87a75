"""What the platform runs beside a new project's database."""

from __future__ import annotations

import datetime as dt

import psycopg

from .api import Api
from .pooler import SessionPooler
from .project import Backup, Project, now


async def prepare(project: Project) -> None:
    """Start the project's pooler, note the server's version, and list a daily backup of five hours ago."""
    project.api = Api(project)
    project.pooler = SessionPooler(project.ref, project.postgres.port)
    await project.pooler.start()
    async with await psycopg.AsyncConnection.connect(project.admin_url) as connection:
        version = connection.info.server_version
    project.version = f"{version // 10000}.{version % 10000}.1.001"
    project.backups.append(Backup(id=1, made_at=now() - dt.timedelta(hours=5)))
