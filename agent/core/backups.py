"""What a backup is: its manifest, what of a listing is restored, and which backups may go."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import Field

from agent.core import sealed
from agent.core.models import BackupRecord, BackupState, Model
from agent.errors import BackupError

FORMAT = 1
MANIFEST = "manifest.json"
APPLICATION = "application"  # the pg_dump archive of the application's schemas
MANAGED_DATA = "managed"  # the pg_dump archive with rows of Supabase's own schemas, if asked for
CATALOG = "catalog.json"  # every object as core.catalog has it
OUTSIDE = "outside.json"  # what lies outside the archive, for the agent
OUTSIDE_SQL = "outside.sql"  # the same, for people with psql
BEFORE_SQL = "before.sql"  # what has to be there first: extensions
HISTORY_SQL = "history.sql"  # the rows of supabase_migrations.schema_migrations
LARGE_OBJECTS = "large_objects.copy.gz"  # those that could be read, where there are any
SNAPSHOT = "snapshot.json"  # what the database was, in names, numbers and hashes: a restore is compared with it

_TEMPORARY_SPACE = 0.5  # of the tables' size: text is shorter than pages, and compressed


class StoredFile(Model):
    """One file of a backup; `sha256` in hex, of the bytes as they are stored."""

    name: str
    bytes: int
    sha256: str


class OutsideObject(Model):
    """Something that belongs to the application but lies outside its schemas' archive.

    `create` makes it, `drop` removes it ("": it goes with what it hangs on). `tied`: it must be out of the way while
    the schemas' contents are dropped and made again. Two are the same if `kind`, `name` and `create` are.
    `classid`, `objid`: where the catalogs had it when it was read; 0 for what nothing takes along.
    `shared`: it is the database's or the server's, not the application's, so another database has its own.
    `replaces`: `create` also sets right the one that is there. `create` is "" where it would tell a secret: such a one
    is neither made nor, unless it is new, dropped.
    """

    kind: str
    name: str
    create: str
    drop: str = ""
    tied: bool = False
    classid: int = 0
    objid: int = 0
    shared: bool = False
    replaces: bool = False


class Manifest(Model):
    """What is in a backup. It is written last: a backup without one does not exist.

    `schemas` are those in the archive, `all_schemas` those that the database had. `rows` counts by qualified name,
    `untied_keys` are the foreign keys (`schema.table name`) to tables outside the archive. `lsn` is the write-ahead log
    position. `snapshot_id` is the exported snapshot that every part was read from. `dump_seconds`: how long the dump
    took (0: not noted); what a restore takes is estimated from it. `snapshot`: pg_current_snapshot() of that moment
    ("": not noted); what is not visible in it was written since.
    """

    format: int = FORMAT
    id: str
    project: str
    deploy_id: str = ""
    target: str
    created_at: datetime
    finished_at: datetime
    agent_version: str
    tool_version: str
    server_version: str
    lsn: str
    snapshot_id: str
    schemas: tuple[str, ...]
    all_schemas: tuple[str, ...]
    managed_data: tuple[str, ...] = ()
    values: dict[str, Any] = Field(default_factory=dict)
    rows: dict[str, int] = Field(default_factory=dict)
    untied_keys: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    needed_roles: tuple[str, ...] = ()
    extensions: tuple[str, ...] = ()
    encryption: str = ""
    dump_seconds: float = 0.0
    snapshot: str = ""
    files: tuple[StoredFile, ...]

    @property
    def bytes(self) -> int:
        """Size of all files but the manifest."""
        return sum(file.bytes for file in self.files)


def plain_name(name: str) -> str:
    """A stored file's name before it was encrypted."""
    return name.removesuffix(".age")


def needed_in_place(name: str) -> bool:
    """Whether a restore in place reads this file of a backup from its beginning; large objects are read when needed."""
    return name != LARGE_OBJECTS and not name.startswith(MANAGED_DATA)


def prefix(project: str, backup_id: str) -> str:
    """Where a backup lies in the object store."""
    return f"{project}/{backup_id}"


def seal(manifest: Manifest) -> bytes:
    """The manifest as it is stored: JSON with the SHA-256 of its own canonical form."""
    return sealed.seal(manifest.model_dump(mode="json"))


def unseal(stored: bytes, *, where: str) -> Manifest:
    """Read a stored manifest.

    Args:
        where: its place, for the message.

    Raises:
        BackupError: `backup.manifest_damaged`, `backup.newer_format`.
    """
    try:
        return sealed.read(Manifest, stored, format=FORMAT)
    except sealed.OtherFormatError as error:
        raise BackupError(
            f"{where} {error}",
            code="backup.newer_format",
            hint="Use the version of the agent that wrote it, or restore by hand: see docs/backups.md.",
        ) from error
    except ValueError as error:
        raise _damaged(where, "it is not what was written") from error


def _damaged(where: str, why: str) -> BackupError:
    return BackupError(
        f"{where} is damaged: {why}",
        code="backup.manifest_damaged",
        hint="Use another backup; `deploy-agent backup list` shows them.",
    )


def space_needed(table_bytes: int) -> int:
    """Bytes that a backup of tables of this size (heap and TOAST, no indexes) should find free."""
    return int(table_bytes * _TEMPORARY_SPACE)


class Kept(StrEnum):
    """Why a backup is not removed."""

    NEEDED = "a deploy that is not final may restore it"
    SALVAGE = "a salvage beside it is neither applied nor dismissed"
    LATEST = "it is the latest"
    VERIFIED = "it is the last one verified"
    COUNT = "keep_last"
    AGE = "keep_days"


def retention(
    backups: Iterable[BackupRecord],
    *,
    now: datetime,
    keep_last: int | None,
    keep_days: int | None,
    needed: Collection[str] = (),
    unsettled: Collection[str] = (),
) -> dict[str, Kept | None]:
    """Which backups stay, and why; None: it may be removed.

    Args:
        backups: of one project.
        keep_last: so many of the newest stay; None: no such rule.
        keep_days: those younger than that stay; None: no such rule. Without either rule everything stays.
        needed: ids that deploys which are not final may still restore.
        unsettled: ids beside which a salvage lies that nobody has applied or dismissed.
    """
    newest_first = sorted(backups, key=lambda record: record.created_at, reverse=True)
    sound = [record for record in newest_first if record.state is not BackupState.DAMAGED]
    latest = next((record.id for record in sound), "")
    verified = next((record.id for record in sound if record.state is BackupState.VERIFIED), "")
    by_count = {record.id for record in sound[: keep_last or 0]}
    verdicts: dict[str, Kept | None] = {}
    for record in newest_first:
        young = keep_days is not None and now - record.created_at < timedelta(days=keep_days)
        if record.id in needed:
            verdicts[record.id] = Kept.NEEDED
        elif record.id in unsettled:
            verdicts[record.id] = Kept.SALVAGE
        elif record.id == latest:
            verdicts[record.id] = Kept.LATEST
        elif record.id == verified:
            verdicts[record.id] = Kept.VERIFIED
        elif record.id in by_count or (keep_last is None and keep_days is None):
            verdicts[record.id] = Kept.COUNT
        else:
            verdicts[record.id] = Kept.AGE if young else None
    return verdicts


def outside_changes(
    before: Sequence[OutsideObject], now: Sequence[OutsideObject]
) -> tuple[list[OutsideObject], list[OutsideObject]]:
    """What lies outside: what must go, and what must be made, so that it is as it was.

    Returns:
        Those of `now` to drop (they are new, altered, or tied to what is restored), and those of `before` to create.
    """
    keys = {(item.kind, item.name, item.create) for item in before}
    staying = {(item.kind, item.name) for item in before if item.replaces or not item.create}
    shared_is_known = any(item.shared for item in before)  # not to an earlier version of the agent

    def must_go(item: OutsideObject) -> bool:
        if item.tied:
            return True
        if (item.kind, item.name) in staying or (item.shared and not shared_is_known):
            return False
        return (item.kind, item.name, item.create) not in keys

    dropped = [item for item in now if must_go(item)]
    left = {(item.kind, item.name, item.create) for item in now if not must_go(item)}
    return dropped, [item for item in before if item.create and (item.kind, item.name, item.create) not in left]


_ENTRY = re.compile(r"^\d+; \d+ \d+ (?P<rest>.*)$")
_RESTORED_APART = (
    "DEFAULT ACL ",
    "PUBLICATION TABLE ",
    "PUBLICATION TABLES IN SCHEMA ",
    "EXTENSION ",
    "EVENT TRIGGER ",
)


def choose_entries(
    listing: str,
    *,
    existing_schemas: Collection[str] = (),
    foreign_owners: Collection[str] = (),
    without_keys: Collection[str] = (),
) -> str:
    """The entries of `pg_restore --list` that a restore uses (`--use-list`).

    Args:
        existing_schemas: stay, so their CREATE, COMMENT and GRANT are left out.
        foreign_owners: roles whose objects nobody but they may make; those were not dropped either.
        without_keys: foreign keys (`schema.table name`) to leave out.
    """
    schema_marks = tuple(
        f"{what} - {kind}{schema} "
        for schema in existing_schemas
        for what, kind in (("SCHEMA", ""), ("ACL", "SCHEMA "), ("COMMENT", "SCHEMA "))
    )
    owners = tuple(f" {owner}" for owner in foreign_owners)
    keys = {f"FK CONSTRAINT {key.replace('.', ' ', 1)}" for key in without_keys}

    def wanted(line: str) -> bool:
        match = _ENTRY.match(line)
        if match is None:
            return False
        rest = match["rest"]
        if rest.startswith((*_RESTORED_APART, *schema_marks)):
            return False
        return not (owners and rest.endswith(owners)) and rest.rpartition(" ")[0] not in keys

    return "".join(f"{line}\n" for line in listing.split("\n") if wanted(line))


def disk_full(where: str) -> BackupError:
    """There is no room for the backup.

    Args:
        where: the file or folder, and what the system said.
    """
    return BackupError(
        f"the disk is full: {where}",
        code="backup.disk_full",
        hint="Free space there or set another backup.target; what was written of this backup has been removed.",
    )
