"""Another database, before a backup is restored into it: what it is, and whether it may be."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

from agent import sql
from agent.core.backups import Manifest, OutsideObject
from agent.core.models import EventKind, Severity
from agent.core.restore_failures import missing_privilege, refuse_newer_server
from agent.core.units import count
from agent.deploy import outside
from agent.deploy.emitter import Emit, tell
from agent.deploy.snapshot import application_schemas
from agent.errors import TargetError
from agent.ports import Clock, Session, Target

_NAMED = 5


@dataclass(frozen=True, kw_only=True)
class Other:
    """The other database as it was found.

    `scope`: the schemas that the restore is about: those of the backup, and the application's that are there.
    `outside`: what hangs on them outside. `history`: whether the migration history's table is there.
    """

    facts: dict[str, Any]
    scope: tuple[str, ...]
    outside: list[OutsideObject]
    empty: bool

    @property
    def foreign_roles(self) -> list[str]:
        """Roles that the session's role cannot act for."""
        return list(self.facts["foreign_roles"])

    def lacks(self, schema: str) -> bool:
        """Whether it has no such schema."""
        return schema not in self.facts["schemas"]


async def refuse_the_source(source: Target, target: Target, manifest: Manifest, clock: Clock, emit: Emit) -> None:
    """The source has its own way back: in place, with a safety backup.

    Two addresses may lead to one database (a pooler's, for instance), and a copy may have the source's identity in
    every file. So a lock is taken in the source, and looked for in the target.

    Raises:
        TargetError: `restore.same_database`.
    """
    same = target.label in (source.label, manifest.target)
    try:
        async with source.session(purpose="restore") as session, target.session(purpose="restore") as other:
            key = {"key": secrets.randbits(62)}
            await session.value(sql.load("aside/mark"), key)
            same = same or await other.value(sql.load("aside/marked"), key)
    except TargetError as error:
        if same:
            raise _same(target) from error
        async with target.session(purpose="restore"):
            pass  # the target's own trouble is the restore's; that of the source is not: it may be gone
        message = f"{source.label} cannot be asked whether it is the same database: {error.message}"
        tell(emit, clock, EventKind.LOG, message, severity=Severity.WARNING)
    if same:
        raise _same(target)


def _same(target: Target) -> TargetError:
    return TargetError(
        f"{target.label} is the database that the backup was taken from",
        code="restore.same_database",
        hint="Leave --to out: `deploy-agent restore BACKUP` restores in place, and takes a safety backup first.",
    )


async def survey(session: Session, manifest: Manifest, *, schemas: tuple[str, ...], overwrite: bool) -> Other:
    """Look at the database, and refuse what could not end well.

    Args:
        schemas: the application's, as the settings say; empty means all.
        overwrite: it may hold something.

    Raises:
        TargetError: `restore.newer_server`, `restore.roles_missing`, `restore.missing_privilege`,
            `restore.read_only`, `restore.not_empty`.
    """
    scope = tuple(dict.fromkeys((*manifest.schemas, *await application_schemas(session, schemas))))
    [facts] = await session.rows(sql.load("aside/facts"), {"schemas": list(manifest.schemas)})
    refuse_newer_server(manifest, facts["server_major"])
    if facts["read_only"]:
        raise TargetError(
            "the database takes no writes: it is a standby, or default_transaction_read_only is on",
            code="restore.read_only",
            hint="Restore into a primary that can be written to.",
        )
    _refuse_missing_roles(manifest, facts["roles"])
    lacking = [name for name in manifest.schemas if name not in facts["schemas"]]
    if lacking and not facts["may_create"]:
        raise missing_privilege(f"role {facts['role']} may not create the schemas {', '.join(lacking)}")
    if facts["closed_schemas"]:
        names = ", ".join(facts["closed_schemas"])
        raise missing_privilege(f"role {facts['role']} may not create anything in the schemas {names}")
    held = await _held(session, scope, has_history=facts["has_history"])
    if held and not overwrite:
        more = f" and {len(held) - _NAMED} more" if len(held) > _NAMED else ""
        raise TargetError(
            f"the database is not empty, it holds {', '.join(held[:_NAMED])}{more}",
            code="restore.not_empty",
            hint="Name an empty database (a new Supabase project is empty), or give --overwrite: what its application "
            "schemas hold, and its migration history, is then replaced.",
        )
    now = await outside.read_outside(session, scope, shared=False)
    return Other(facts=facts, scope=scope, outside=now, empty=not held)


def _refuse_missing_roles(manifest: Manifest, present: list[str]) -> None:
    missing = [name for name in manifest.needed_roles if name not in present]
    if missing:
        raise TargetError(
            f"roles that the backup needs are missing: {', '.join(missing)}",
            code="restore.roles_missing",
            hint="Create them there (`create role … nologin`; a backup holds no roles and no passwords), then restore "
            "again. Nothing was changed.",
        )


async def _held(session: Session, scope: tuple[str, ...], *, has_history: bool) -> list[str]:
    async with outside.qualified_names(session):
        found = [row["name"] for row in await session.rows(sql.load("aside/present"), {"schemas": list(scope)})]
    if has_history and (applied := await session.value(sql.load("aside/history_rows"))):
        found.append(f"a migration history of {count(applied, 'version')}")
    return found
