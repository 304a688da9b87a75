"""Backups of a real database, in a folder and in a real S3: whole, encrypted, damaged, refused, cut off."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pyrage
import pytest
from pydantic import SecretStr

from agent.core.models import BackupState, DeployRequest, EventKind
from agent.core.states import Move
from agent.deploy import large_objects
from agent.deploy.archive import load_manifest
from agent.deploy.backup import prune, verify_backup
from agent.edges.encryption import AgeCipher
from agent.edges.object_store import FolderStore, open_object_store
from agent.edges.pgtools import PostgresTools
from agent.edges.target import PsycopgTarget
from agent.errors import AgentError, BackupError, InputError, ToolError
from agent.ports import PgTools, Target
from tests.conftest import TEMPLATE, Database
from tests.edges.backup_kit import CLOCK, DAMAGE, RICH, Kit, kit
from tests.edges.test_object_store import options_of
from tests.edges.test_pgtools import make_tools, prints
from tests.support.aside import run_aside
from tests.support.needs import cannot_run
from tests.support.s3 import S3
from tests.support.stored import stored


@pytest.fixture
async def rich(database: Database, tmp_path: Path):
    async with kit(database.url, FolderStore(tmp_path / "backups"), tmp_path) as made:
        await made.run(RICH)
        yield made


def files_under(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


async def verify(made: Kit, record, **more) -> BackupState:
    after = await verify_backup(
        tools=made.tools,
        objects=made.objects,
        store=made.store,
        clock=CLOCK,
        backup=record,
        options=made.options,
        **more,
    )
    assert await made.state_of(record) is after.state
    return after.state


def scratch_of(database: Database):
    """An empty Supabase-like database, as its superuser."""

    @asynccontextmanager
    async def scratch() -> AsyncIterator[tuple[Target, PgTools]]:
        name = f"{database.name}_scratch"
        run_aside(database.server.create_database(name, template=TEMPLATE))
        try:
            url = SecretStr(database.server.admin_url(name))
            yield PsycopgTarget(url), PostgresTools(url)
        finally:
            run_aside(database.server.drop_database(name))

    return scratch


async def test_the_manifest_says_what_is_in_it(rich: Kit, tmp_path: Path):
    record, snapshot = await rich.take(deploy_id="d1")
    manifest = await load_manifest(rich.objects, record)
    assert manifest.id == record.id
    assert manifest.deploy_id == "d1"
    assert manifest.schemas == ("billing", "public")
    assert {"auth", "storage", "extensions"} < set(manifest.all_schemas)
    assert manifest.rows == {name: mark.rows for name, mark in snapshot.tables.items()}
    assert manifest.rows["public.albums"] == 500
    assert manifest.server_version.startswith("17")
    assert manifest.tool_version.startswith("17.")
    assert int(manifest.lsn.split("/")[1], 16) > 0
    assert manifest.untied_keys == ("public.profiles profiles_id_fkey",)
    assert manifest.extensions == tuple(sorted(manifest.extensions))
    assert "pg_cron" in manifest.extensions
    assert manifest.encryption == ""
    folder = tmp_path / "backups" / "demo" / record.id
    there = {str(path.relative_to(folder)): path.stat().st_size for path in files_under(folder)}
    assert there.pop("manifest.json") > 0
    assert there == {file.name: file.bytes for file in manifest.files}
    assert record.bytes == sum(there.values())
    assert record.location == (tmp_path / "backups").as_uri() + f"/demo/{record.id}"
    assert await rich.state_of(record) is BackupState.PUBLISHED
    [event] = [event for event in rich.events if event.kind is EventKind.BACKUP]
    assert event.data["bytes"] == record.bytes


async def test_the_backup_is_of_the_snapshot_and_not_of_what_came_after(rich: Kit, database: Database):
    """Rows that commit between the snapshot and the dump are in neither."""
    async with rich.target.session(purpose="shop") as shop:
        original = rich.tools.dump

        async def dump_later(**more):
            await shop.run("INSERT INTO public.artists (name) VALUES ('late')")
            return await original(**more)

        rich.tools.dump = dump_later
        record, before = await rich.take()
    await rich.restore(record)
    assert (await rich.differences(before)).content == ()


async def test_verify_restores_it_elsewhere_and_counts(rich: Kit, database: Database):
    record, _ = await rich.take()
    assert await verify(rich, record) is BackupState.PUBLISHED
    assert await verify(rich, record, scratch=scratch_of(database)) is BackupState.VERIFIED


async def test_verify_finds_counts_that_differ(rich: Kit, database: Database):
    original = rich.tools.dump

    async def dump_of_another_moment(**more):
        await rich.run("DELETE FROM public.events_old")
        snapshot_id = more.pop("snapshot_id")
        assert snapshot_id
        async with rich.target.session(purpose="test") as session, session.transaction(repeatable=True):
            return await original(**more, snapshot_id=await session.value("SELECT pg_export_snapshot()"))

    rich.tools.dump = dump_of_another_moment
    record, _ = await rich.take()
    with pytest.raises(BackupError) as caught:
        await verify(rich, record, scratch=scratch_of(database))
    assert caught.value.code == "backup.counts_differ"
    assert "public.events_old has 0 rows, 30 were backed up" in caught.value.message
    assert await rich.state_of(record) is BackupState.DAMAGED


LARGE = "SELECT lo_from_bytea(5001, 'one'); SELECT lo_from_bytea(5002, 'two'); COMMENT ON LARGE OBJECT 5001 IS 'one'"


async def test_verify_restores_large_objects_too(rich: Kit, database: Database):
    await rich.run(LARGE)
    record, _ = await rich.take()
    assert await verify(rich, record, scratch=scratch_of(database)) is BackupState.VERIFIED


async def test_verify_finds_large_objects_of_another_moment(
    rich: Kit, database: Database, monkeypatch: pytest.MonkeyPatch
):
    await rich.run(LARGE)
    write = large_objects.write

    async def write_later(_session, folder):
        await rich.run("SELECT lo_put(5002, 0, 'TWO')")
        async with rich.target.session(purpose="test") as session, session.transaction():
            return await write(session, folder)

    monkeypatch.setattr(large_objects, "write", write_later)
    record, _ = await rich.take()
    with pytest.raises(BackupError) as caught:
        await verify(rich, record, scratch=scratch_of(database))
    assert caught.value.code == "backup.counts_differ"
    assert "1 place: large object 5002 is another" in caught.value.message


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\0"), "checksum"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "bytes"),
        (lambda path: path.unlink(), "is missing"),
    ],
    ids=["one byte", "shorter", "gone"],
)
async def test_a_damaged_file_is_found_and_named(rich: Kit, tmp_path: Path, harm, says: str):
    record, _ = await rich.take()
    victim = files_under(tmp_path / "backups" / "demo" / record.id / "application")[1]
    harm(victim)
    with pytest.raises(BackupError) as caught:
        await verify(rich, record)
    assert caught.value.code == "backup.damaged"
    assert victim.name in caught.value.message
    assert says in caught.value.message
    assert await rich.state_of(record) is BackupState.DAMAGED


async def test_a_changed_manifest_is_found(rich: Kit, tmp_path: Path):
    record, _ = await rich.take()
    path = tmp_path / "backups" / "demo" / record.id / "manifest.json"
    content = json.loads(path.read_text())
    content["rows"]["public.albums"] = 1
    path.write_text(json.dumps(content))
    with pytest.raises(BackupError) as caught:
        await verify(rich, record)
    assert caught.value.code == "backup.manifest_damaged"


async def test_encrypted_no_plain_text_ever_lies_at_the_target(rich: Kit, tmp_path: Path, database: Database):
    identity = pyrage.x25519.Identity.generate()
    cipher = AgeCipher(recipients=[str(identity.to_public())], identity=SecretStr(str(identity)))
    seen: set[str] = set()
    original = rich.tools.dump

    async def dump_and_look(**more):
        on_file = more.pop("on_file")

        async def look(file) -> None:
            await on_file(file)
            seen.update(path.name for path in files_under(tmp_path / "backups"))

        return await original(**more, on_file=look)

    rich.tools.dump = dump_and_look
    rich.options = replace(rich.options, cipher=cipher, encrypt=True, work_dir=tmp_path / "work")
    record, before = await rich.take()
    folder = tmp_path / "backups" / "demo" / record.id
    names = {path.name for path in files_under(folder)}
    assert seen
    assert all(name.endswith(".age") for name in (names | seen) - {"manifest.json"})
    assert not any(b"album 7" in path.read_bytes() for path in files_under(folder))
    assert files_under(tmp_path / "work") == []
    assert await verify(rich, record) is BackupState.PUBLISHED
    assert await verify(rich, record, scratch=scratch_of(database)) is BackupState.VERIFIED

    await rich.run(DAMAGE)
    await rich.restore(record)
    assert (await rich.differences(before)).all == ()
    assert files_under(tmp_path / "work") == []


async def test_without_the_identity_an_encrypted_backup_is_checked_but_not_opened(rich: Kit, tmp_path: Path):
    identity = pyrage.x25519.Identity.generate()
    rich.options = replace(rich.options, cipher=AgeCipher(recipients=[str(identity.to_public())]), encrypt=True)
    record, _ = await rich.take()
    rich.options = replace(rich.options, cipher=None)
    assert await verify(rich, record) is BackupState.PUBLISHED
    for cipher, code in (
        (None, "backup.identity_missing"),
        (AgeCipher(recipients=[]), "backup.identity_missing"),
        (AgeCipher(identity=SecretStr(str(pyrage.x25519.Identity.generate()))), "backup.decryption_failed"),
    ):
        rich.options = replace(rich.options, cipher=cipher)
        with pytest.raises(BackupError) as caught:
            await rich.restore(record)
        assert caught.value.code == code


def test_keys_that_are_none_are_refused_without_being_shown():
    with pytest.raises(InputError) as caught:
        AgeCipher(identity=SecretStr("AGE-SECRET-KEY-1GEHEIM"))
    assert caught.value.code == "input.age_identity"
    assert "GEHEIM" not in str(caught.value)
    with pytest.raises(InputError) as caught:
        AgeCipher(recipients=["age1nonsense"])
    assert caught.value.code == "input.age_recipient"
    with pytest.raises(InputError) as caught:
        AgeCipher(recipients=["AGE-SECRET-KEY-1GEHEIM"])
    assert "GEHEIM" not in str(caught.value)


async def test_in_a_bucket(rich: Kit, s3: S3, tmp_path: Path, database: Database):
    rich.objects = open_object_store(f"s3://{s3.bucket}/backups", options=options_of(s3))
    rich.options = replace(rich.options, work_dir=tmp_path / "work")
    record, before = await rich.take()
    rich.options = replace(rich.options, work_dir=tmp_path / "another")
    manifest = await load_manifest(rich.objects, record)
    assert record.location == f"s3://{s3.bucket}/backups/demo/{record.id}"
    there = dict(await stored(rich.objects, f"demo/{record.id}"))
    assert there.pop(f"demo/{record.id}/manifest.json") > 0
    assert there == {f"demo/{record.id}/{file.name}": file.bytes for file in manifest.files}
    assert await verify(rich, record, scratch=scratch_of(database)) is BackupState.VERIFIED
    await rich.run(DAMAGE)
    await rich.restore(record)
    assert (await rich.differences(before)).all == ()
    assert files_under(tmp_path / "work") == []


async def fails(made: Kit) -> AgentError:
    """The backup fails, and nothing of it is left at the target or in the store."""
    with pytest.raises(AgentError) as caught:
        await made.take()
    assert await stored(made.objects, "") == []
    assert await made.store.backups(project="demo") == []
    return caught.value


async def fails_but_for(made: Kit, other: str) -> AgentError:
    with pytest.raises(AgentError) as caught:
        await made.take()
    assert [key for key, _ in await stored(made.objects, "")] == [other]
    return caught.value


async def test_a_backup_that_is_too_small_is_not_kept(rich: Kit):
    rich.options = replace(rich.options, min_bytes=1_000_000)
    error = await fails(rich)
    assert error.code == "backup.too_small"
    assert "1,000,000" in error.message


async def test_a_full_disk_while_dumping(rich: Kit, tmp_path: Path):
    """The limit on a file's size stands in for the disk's end; pg_dump inherits it."""
    await rich.run("CREATE TABLE public.big AS SELECT gen_random_uuid() AS id FROM generate_series(1, 50000)")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        error = await fails(rich)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert error.code == "backup.disk_full"
    assert files_under(tmp_path / "backups") == []


async def test_a_really_full_disk(rich: Kit, tmp_path: Path):
    """A small file system of its own, where this machine lets us mount one."""
    small = tmp_path / "small"
    small.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(small)]
    mounted = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=False)
    if mounted.returncode != 0:
        cannot_run("no mount here; the same path is covered by the limit on a file's size")
    try:
        await rich.run("CREATE TABLE public.big AS SELECT gen_random_uuid() AS id FROM generate_series(1, 50000)")
        rich.objects = FolderStore(small)
        first = await fails(rich)
        assert first.code == "backup.disk_full"
        assert "bytes free" in first.message
        await rich.run(
            "TRUNCATE public.big; INSERT INTO public.big SELECT gen_random_uuid() FROM generate_series(1, 5000)"
        )
        original = rich.tools.dump

        async def fill_and_dump(**more):
            await asyncio.to_thread((small / "others").write_bytes, bytes(1_000_000))
            return await original(**more)

        rich.tools.dump = fill_and_dump
        second = await fails_but_for(rich, "others")
        assert second.code == "backup.disk_full"
        assert os.strerror(28) in second.message
        assert files_under(small) == [small / "others"]
    finally:
        await asyncio.to_thread(subprocess.run, ["umount", str(small)], check=True)


async def test_a_cut_connection(rich: Kit, tmp_path: Path):
    await rich.run("CREATE TABLE public.big AS SELECT n, md5(n::text) FROM generate_series(1, 300000) n")
    async with rich.target.session(purpose="watch") as session:
        running = asyncio.create_task(fails(rich))
        copying = "SELECT pid FROM pg_stat_progress_copy WHERE relid = 'public.big'::regclass"
        while not (pid := await session.value(copying)):
            assert not running.done(), "the dump ended before it could be cut"
        await session.value(f"SELECT pg_terminate_backend({pid})")
        error = await running
    assert error.code == "backup.connection_lost"
    assert files_under(tmp_path / "backups") == []


async def test_old_tools(rich: Kit, tmp_path: Path):
    rich.tools = PostgresTools(SecretStr(rich.url), folder=make_tools(tmp_path / "bin", prints("14.9")))
    error = await fails(rich)
    assert isinstance(error, ToolError)
    assert error.code == "tool.too_old"


async def test_cancelled(rich: Kit, tmp_path: Path, database: Database):
    original = rich.tools.dump
    async with await psycopg.AsyncConnection.connect(database.url) as shop:

        async def lock_and_dump(**more):
            await shop.execute("LOCK TABLE public.albums")
            return await original(**more)

        rich.tools.dump = lock_and_dump
        running = asyncio.create_task(rich.take())
        async with await psycopg.AsyncConnection.connect(database.admin_url, autocommit=True) as admin:
            waiting = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'public.albums'::regclass"
            while (await admin.execute(waiting)).rowcount == 0:
                assert not running.done()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert files_under(tmp_path / "backups") == []
    assert await rich.store.backups(project="demo") == []


async def test_rows_of_managed_schemas_if_asked_for(rich: Kit):
    rich.options = replace(rich.options, managed_data=("auth", "storage"))
    record, before = await rich.take()
    manifest = await load_manifest(rich.objects, record)
    folder = rich.objects.local(f"demo/{record.id}")
    assert folder is not None
    listing = await rich.tools.listing(folder / "managed")
    assert "TABLE DATA auth users" in listing
    assert "schema_migrations" not in listing
    assert "storage migrations" not in listing
    assert manifest.managed_data == ("auth", "storage")
    await rich.restore(record)
    assert (await rich.differences(before)).all == ()


async def test_what_a_killed_backup_left_is_swept_by_the_next(rich: Kit, tmp_path: Path):
    left = tmp_path / "backups" / "demo" / ".partial-dead" / "application"
    left.mkdir(parents=True)
    (left / "1.dat.zst").write_bytes(b"half")
    await rich.take()
    assert not left.exists()
    assert any(event.data.get("names") == ["dead"] for event in rich.events)


async def test_prune_removes_files_and_records(rich: Kit, tmp_path: Path):
    records = [(await rich.take())[0] for _ in range(3)]
    rich.options = replace(rich.options, keep_last=1)
    arguments = {
        "target": rich.target,
        "objects": rich.objects,
        "store": rich.store,
        "clock": CLOCK,
        "project": "demo",
        "options": rich.options,
    }
    would = await prune(**arguments, dry_run=True)
    assert [one.id for one in would] == [one.id for one in records[:2]]
    assert len(await rich.store.backups(project="demo")) == 3
    gone = await prune(**arguments)
    assert [one.id for one in gone] == [one.id for one in records[:2]]
    assert [one.id for one in await rich.store.backups(project="demo")] == [records[2].id]
    assert {path.parent.name for path in files_under(tmp_path / "backups") if path.name == "manifest.json"} == {
        records[2].id
    }


async def test_prune_keeps_what_people_may_still_need(rich: Kit) -> None:
    """Two deploys in a row left it to people; then one succeeded, and one found nothing to do."""
    stuck = (Move.START, Move.CLEAR, Move.SNAPPED, Move.BACKED_UP, Move.FAIL, Move.NOT_UNDONE, Move.GIVE_UP)
    good = (*stuck[:4], Move.APPLIED, Move.PASSED)
    rich.options = replace(rich.options, keep_last=1)
    began = CLOCK.now()

    async def deployed(name: str, moves: tuple[Move, ...]) -> str:
        record = (await rich.take(deploy_id=name))[0]
        state = (
            await rich.store.create(name, DeployRequest(project="demo"), now=began + timedelta(seconds=number))
        ).state
        for move in moves:
            backup_id = record.id if move is Move.BACKED_UP else ""
            now = CLOCK.now()
            state = await rich.store.transition(
                name, expected=state, move=move, now=now, message="", backup_id=backup_id
            )
        return record.id

    async def left() -> set[str]:
        await prune(
            target=rich.target,
            objects=rich.objects,
            store=rich.store,
            clock=CLOCK,
            project="demo",
            options=rich.options,
        )
        return {one.id for one in await rich.store.backups(project="demo")}

    ids = []
    for number, moves in enumerate((stuck, stuck, (Move.START, Move.NOTHING_TO_DO))):
        ids.append(await deployed(f"d{number}", moves))
        assert await left() == set(ids)
    number = 3
    ids.append(await deployed("d3", good))
    assert await left() == {ids[1], ids[3]}


async def test_by_hand_without_the_agent(rich: Kit, tmp_path: Path, database: Database):
    """What docs/backups.md tells people to type works."""
    record, before = await rich.take()
    bin_folder = Path(next(iter(await rich.tools.versions()))).parent
    folder = tmp_path / "backups" / "demo" / record.id
    name = f"{database.name}_byhand"
    run_aside(database.server.create_database(name, template=TEMPLATE))
    url = database.server.url(name)
    psql = [str(bin_folder / "psql"), "-X", "-v", "ON_ERROR_STOP=1", "-d", url]
    try:
        await _run("users", [*psql[:-1], database.server.admin_url(name), "-c", _users()])
        await _run("before.sql", [*psql, "-f", str(folder / "before.sql")])
        pg_restore = str(bin_folder / "pg_restore")
        listing = f"{pg_restore} -l {folder}/application | grep -Ev ' (SCHEMA - public|DEFAULT ACL) ' > {tmp_path}/list"
        await _run("listing", ["sh", "-c", listing])
        chosen = ["--exit-on-error", f"--use-list={tmp_path}/list", "-d", url, str(folder / "application")]
        await _run("pg_restore", [pg_restore, *chosen])
        await _run("outside.sql", [*psql, "-f", str(folder / "outside.sql")])
        await _run("history", [*psql, "-c", _HISTORY, "-f", str(folder / "history.sql")])
        there = Kit(url=url, objects=rich.objects, store=rich.store)
        found = await there.differences(before)
        assert found.content == ()
        assert found.history == ()
        assert found.catalog == ()
    finally:
        run_aside(database.server.drop_database(name))


_HISTORY = """
CREATE SCHEMA IF NOT EXISTS supabase_migrations;
CREATE TABLE supabase_migrations.schema_migrations (version text PRIMARY KEY, statements text[], name text)
"""


def _users() -> str:
    return (
        "INSERT INTO auth.users (id, email) SELECT ('00000000-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid, "
        "'u' || n || '@example.com' FROM generate_series(1, 50) n"
    )


async def _run(what: str, command: list[str]) -> None:
    done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{what}: {done.stderr}"
