"""Taking a backup: from one snapshot, hashed while it is written, read again before it is published."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import agent
from agent import sql
from agent.core import backups as core
from agent.core.backups import Manifest, OutsideObject, StoredFile
from agent.core.models import BackupRecord, BackupState, EventKind, Snapshot
from agent.deploy import large_objects, outside
from agent.deploy.archive import BackupOptions, load_manifest, work_dir
from agent.deploy.beside import beside
from agent.deploy.emitter import Emit, tell
from agent.deploy.snapshot import application_schemas, write_catalog
from agent.deploy.upkeep import prune, verify_backup
from agent.errors import BackupError
from agent.ports import Clock, DeployStore, ObjectStore, PgTools, Session, Target, Upload

__all__ = ["BackupOptions", "load_manifest", "prune", "take_backup", "verify_backup"]

# Which rows of these belong to a migration tool of Supabase's own, not to the project (`supabase db dump`, CLI 3.1.0).
_NOT_DATA = ("auth.schema_migrations", "storage.migrations", "supabase_functions.migrations")
_PROGRESS_EVERY_S = 2.0


@dataclass(kw_only=True)
class _Writing:
    """A backup while it is made."""

    upload: Upload
    options: BackupOptions
    files: list[StoredFile] = field(default_factory=list)
    held_back: list[StoredFile] = field(default_factory=list)

    async def dumped(self, archive: str, file: StoredFile) -> None:
        """A file of an archive is complete; its table of contents waits until it has been read again."""
        file = file.model_copy(update={"name": f"{archive}/{file.name}"})
        if file.name.endswith("/toc.dat"):
            self.held_back.append(file)
        else:
            await self.keep(file)

    async def keep(self, file: StoredFile) -> None:
        """Encrypt it if that is asked for, and hand it over."""
        if self.options.encrypt:
            assert self.options.cipher is not None  # noqa: S101 - bootstrap sets both
            plain = self.upload.folder / file.name
            made = await self.options.cipher.encrypt(plain, plain.with_name(f"{plain.name}.age"))
            file = made.model_copy(update={"name": f"{file.name}.age"})
            plain.unlink()
        await self.upload.keep(file.name)
        self.files.append(file)

    async def keep_text(self, name: str, text: str) -> None:
        """A small file of our own."""
        await asyncio.to_thread((self.upload.folder / name).write_bytes, text.encode())
        await self.keep_file(name)

    async def keep_file(self, name: str) -> None:
        """A file of our own that lies in the upload's folder."""
        content = await asyncio.to_thread((self.upload.folder / name).read_bytes)
        await self.keep(StoredFile(name=name, bytes=len(content), sha256=hashlib.sha256(content).hexdigest()))


async def take_backup(
    *,
    session: Session,
    snapshot_id: str,
    snapshot: Snapshot,
    target: Target,
    tools: PgTools,
    objects: ObjectStore,
    store: DeployStore,
    clock: Clock,
    project: str,
    deploy_id: str,
    options: BackupOptions,
    emit: Emit,
) -> BackupRecord:
    """Back up the application's schemas and what hangs on them outside.

    Args:
        session: in the transaction that exported the snapshot; everything is read from that one snapshot.
        snapshot_id: what pg_export_snapshot() gave.
        snapshot: values and row counts, read in that transaction; they go into the manifest.

    Returns:
        The record of the published backup, also kept in the store.

    Raises:
        ToolError: no pg_dump, one that is too old, or it failed.
        BackupError: `backup.disk_full`, `backup.connection_lost`, `backup.too_small`, `backup.unreadable`, …
            Nothing is left behind.
    """
    began = clock.now()
    backup_id = f"{began:%Y%m%dT%H%M%SZ}-{secrets.token_hex(2)}"
    schemas = await application_schemas(session, options.schemas)
    [facts] = await session.rows(sql.load("backup/facts"), {"schemas": list(schemas)})
    if left := await objects.sweep():
        tell(emit, clock, EventKind.LOG, f"removed {len(left)} unfinished backups", names=left)
    place = core.prefix(project, backup_id)
    async with objects.upload(place, work_dir=work_dir(options)) as upload:
        await _check_space(upload, facts["table_bytes"])
        writing = _Writing(upload=upload, options=options)
        dump = _dump(
            writing,
            tools=tools,
            server_major=facts["server_major"],
            snapshot_id=snapshot_id,
            schemas=schemas,
            progress=_progress(clock, emit),
        )
        dump_began = clock.now()
        async with beside(_describe(writing, session, schemas)) as [describing]:  # while pg_dump runs
            tool_version, described = await dump, await describing
        dump_seconds = (clock.now() - dump_began).total_seconds()
        await _write_outside(writing, described)
        await writing.keep_text(core.SNAPSHOT, snapshot.model_dump_json())
        manifest = Manifest(
            id=backup_id,
            project=project,
            deploy_id=deploy_id,
            target=target.label,
            created_at=began,
            finished_at=clock.now(),
            agent_version=agent.__version__,
            tool_version=tool_version,
            server_version=facts["server_version"],
            lsn=facts["lsn"],
            snapshot_id=snapshot_id,
            schemas=schemas,
            all_schemas=tuple(facts["schemas"]),
            managed_data=options.managed_data,
            values=snapshot.values,
            rows={name: mark.rows for name, mark in snapshot.tables.items()},
            untied_keys=tuple(described.untied_keys),
            roles=tuple(facts["roles"]),
            needed_roles=tuple(described.needed_roles),
            extensions=tuple(facts["extensions"] or ()),
            encryption=options.cipher.name if options.encrypt and options.cipher else "",
            dump_seconds=dump_seconds,
            snapshot=facts["snapshot"],
            files=tuple(sorted(writing.files, key=lambda file: file.name)),
        )
        _check_size(manifest, options.min_bytes)
        await upload.publish(core.seal(manifest))
    record = BackupRecord(
        id=backup_id,
        project=project,
        created_at=began,
        location=f"{objects.label}/{place}",
        state=BackupState.PUBLISHED,
        bytes=manifest.bytes,
        deploy_id=deploy_id,
    )
    await store.put_backup(record)
    tell(
        emit,
        clock,
        EventKind.BACKUP,
        f"backup {backup_id}: {manifest.bytes:,} bytes in {len(manifest.files)} files at {record.location}",
        id=backup_id,
        location=record.location,
        bytes=manifest.bytes,
        files=len(manifest.files),
        seconds=(clock.now() - began).total_seconds(),
    )
    return record


@dataclass(frozen=True, kw_only=True)
class _Described:
    """What the catalog says beside the archive."""

    outside: list[OutsideObject]
    untied_keys: list[str]
    needed_roles: list[str]
    history: list[str] | None


async def _describe(writing: _Writing, session: Session, schemas: Sequence[str]) -> _Described:
    history = None
    if await session.value(sql.load("backup/history_exists")):
        history = [row["statement"] for row in await session.rows(sql.load("backup/history"))]
    keys = await session.rows(sql.load("backup/untied_keys"), {"schemas": list(schemas)})
    roles = await session.rows(sql.load("backup/needed_roles"), {"schemas": list(schemas)})
    await write_catalog(session, schemas, writing.upload.folder / core.CATALOG)
    await writing.keep_file(core.CATALOG)
    try:
        found = await large_objects.write(session, writing.upload.folder)
    except OSError as error:
        raise core.disk_full(f"{writing.upload.folder / core.LARGE_OBJECTS}: {error.strerror}") from error
    if found:
        await writing.keep(found)
    return _Described(
        outside=await outside.read_outside(session, schemas),
        untied_keys=[row["name"] for row in keys],
        needed_roles=[row["name"] for row in roles],
        history=history,
    )


async def _dump(
    writing: _Writing,
    *,
    tools: PgTools,
    server_major: int,
    snapshot_id: str,
    schemas: tuple[str, ...],
    progress: Callable[[int], None],
) -> str:
    """Run pg_dump, once or twice, and read back what it wrote; returns its version."""
    version = ""
    parts = [(core.APPLICATION, schemas, False)]
    if writing.options.managed_data:
        parts.append((core.MANAGED_DATA, writing.options.managed_data, True))
    for archive, chosen, data_only in parts:
        version = await tools.dump(
            server_major=server_major,
            schemas=chosen,
            snapshot_id=snapshot_id,
            into=writing.upload.folder / archive,
            jobs=writing.options.jobs,
            on_progress=progress,
            on_file=partial(writing.dumped, archive),
            data_only=data_only,
            without_tables=_NOT_DATA if data_only else (),
        )
        await tools.listing(writing.upload.folder / archive)
    for file in writing.held_back:
        await writing.keep(file)
    return version


def _progress(clock: Clock, emit: Emit) -> Callable[[int], None]:
    """Tells how far the dump is, every two seconds."""
    last = clock.now()

    def written(done: int) -> None:
        nonlocal last
        if (clock.now() - last).total_seconds() >= _PROGRESS_EVERY_S:
            last = clock.now()
            message = f"backup: {done:,} bytes written"
            tell(emit, clock, EventKind.PROGRESS, message, what="backup", phase="dump", done=done, total=None)

    return written


async def _write_outside(writing: _Writing, described: _Described) -> None:
    items = described.outside
    await writing.keep_text(core.OUTSIDE, json.dumps([item.model_dump() for item in items], indent=1))
    await writing.keep_text(core.BEFORE_SQL, outside.first_script(items))
    await writing.keep_text(core.OUTSIDE_SQL, outside.last_script(items))
    if described.history is not None:
        lines = ["-- The migration history.", sql.load("restore/history").strip(), *described.history]
        await writing.keep_text(core.HISTORY_SQL, "\n".join(lines) + "\n")


async def _check_space(upload: Upload, table_bytes: int) -> None:
    needed, free = core.space_needed(table_bytes), await upload.free_bytes()
    if free < needed:
        raise core.disk_full(f"{upload.folder} has {free:,} bytes free, the backup may need {needed:,}")


def _check_size(manifest: Manifest, min_bytes: int) -> None:
    if manifest.bytes < min_bytes:
        raise BackupError(
            f"the backup has {manifest.bytes:,} bytes, fewer than backup.min_bytes ({min_bytes:,}): is it the right "
            f"database? It holds {len(manifest.rows)} tables of {', '.join(manifest.schemas)}",
            code="backup.too_small",
            hint="Check database_url and deploy.schemas, or lower backup.min_bytes. The backup was not kept.",
        )
