"""Rung 4 on a real database: as role `postgres`, who is no superuser."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from agent import sql
from agent.core.models import EventKind
from agent.deploy.backup import prune
from agent.edges.object_store import FolderStore
from agent.errors import BackupError, StatementError, TargetError
from tests.conftest import Database
from tests.edges.backup_kit import CLOCK, DAMAGE, RICH, Kit, kit, schema_text
from tests.support.deploying import Outcome, deploy, make_settings, write_migrations


@pytest.fixture
async def rich(database: Database, tmp_path: Path):
    async with kit(database.url, FolderStore(tmp_path / "backups"), tmp_path, lock_timeout_s=0.5) as made:
        await made.run(RICH)
        yield made


async def pg_dump_of(made: Kit) -> Path:
    return next(Path(path) for path in await made.tools.versions() if path.endswith("pg_dump"))


async def test_everything_is_as_it_was(rich: Kit, database: Database):
    pg_dump = await pg_dump_of(rich)
    record, before = await rich.take()
    schema = schema_text(pg_dump, database.admin_url)
    history = await rich.value("SELECT jsonb_agg(h ORDER BY version) FROM supabase_migrations.schema_migrations h")
    jobs = "SELECT jsonb_agg(jsonb_build_array(jobname, schedule, command, active) ORDER BY jobname) FROM cron.job"
    cron = await rich.value(jobs)

    await rich.run(DAMAGE)
    assert (await rich.differences(before)).all
    await rich.restore(record)

    assert (await rich.differences(before)).all == ()
    assert schema_text(pg_dump, database.admin_url) == schema
    assert history == await rich.value(
        "SELECT jsonb_agg(h ORDER BY version) FROM supabase_migrations.schema_migrations h"
    )
    assert await rich.value(jobs) == cron
    assert await rich.value("SELECT nextval('public.tickets')") == 110
    assert await rich.value("INSERT INTO public.artists (name) VALUES ('next') RETURNING id") == 21


async def test_restoring_twice_changes_nothing_more(rich: Kit):
    record, before = await rich.take()
    await rich.restore(record)
    await rich.restore(record)
    assert (await rich.differences(before)).all == ()


async def test_an_undamaged_database_keeps_its_outside_objects(rich: Kit):
    """Only what is tied to the application, or differs, is touched."""
    record, _ = await rich.take()
    trigger = "SELECT array_agg(oid ORDER BY oid) FROM pg_trigger WHERE tgfoid::regproc::text LIKE 'storage.%'"
    policy = "SELECT oid FROM pg_policy WHERE polname = 'anyone reads public'"
    kept = [await rich.value(trigger), await rich.value(policy)]
    await rich.restore(record)
    assert [await rich.value(trigger), await rich.value(policy)] == kept


async def test_extension_members_and_foreign_objects_stay(rich: Kit, database: Database):
    await rich.run(
        "CREATE EXTENSION pg_trgm WITH SCHEMA public; CREATE INDEX ON public.profiles USING gin (handle gin_trgm_ops)"
    )
    async with await psycopg.AsyncConnection.connect(database.admin_url, autocommit=True) as admin:
        await admin.execute("CREATE TABLE public.theirs (id int)")
        await admin.execute("INSERT INTO public.theirs VALUES (7)")
    record, before = await rich.take()
    await rich.run("DROP TABLE public.albums CASCADE")
    await rich.restore(record)
    assert (await rich.differences(before)).all == ()
    assert await rich.value("SELECT id FROM public.theirs") == 7


async def test_an_event_trigger_of_the_application_does_not_fire_and_returns(database: Database, tmp_path: Path):
    """As a superuser: only such a role may own event triggers where the extension supautils is missing."""
    async with kit(database.admin_url, FolderStore(tmp_path / "backups"), tmp_path) as made:
        await made.run(RICH)
        await made.run(
            "CREATE FUNCTION public.refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no DDL'; END$$;"
            "CREATE EVENT TRIGGER refuse ON sql_drop WHEN TAG IN ('DROP TABLE') EXECUTE FUNCTION public.refuse()"
        )
        record, before = await made.take()
        await made.restore(record)
        assert (await made.differences(before)).all == ()
        with pytest.raises(StatementError, match="no DDL"):
            await made.run("DROP TABLE public.artists CASCADE")


async def test_what_depends_from_outside_refuses_the_restore(rich: Kit, database: Database):
    record, _ = await rich.take()
    async with await psycopg.AsyncConnection.connect(database.admin_url, autocommit=True) as admin:
        await admin.execute("CREATE VIEW extensions.peek AS SELECT title FROM public.albums")
        await admin.execute("CREATE TABLE extensions.moods (mood public.mood)")
    before = await rich.snapshot()
    with pytest.raises(TargetError) as caught:
        await rich.restore(record)
    assert caught.value.code == "restore.dependents"
    assert "view extensions.peek" in caught.value.message
    assert "extensions.moods" in caught.value.message
    assert (await rich.differences(before)).all == ()


async def test_a_failure_in_the_last_statement_changes_nothing(rich: Kit, database: Database):
    """The history is written last; there it is refused."""
    record, _ = await rich.take()
    await rich.run(DAMAGE)
    await rich.run(
        "ALTER TABLE supabase_migrations.schema_migrations ADD CHECK (version <> '20260102000000') NOT VALID"
    )
    before = await rich.snapshot()
    with pytest.raises(StatementError) as caught:
        await rich.restore(record)
    assert caught.value.sqlstate == "23514"
    assert (await rich.differences(before)).all == ()


async def test_a_damaged_archive_is_found_before_anything_is_dropped(rich: Kit, tmp_path: Path):
    record, _ = await rich.take()
    [largest] = sorted((tmp_path / "backups").rglob("*.dat.zst"), key=lambda path: path.stat().st_size)[-1:]
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 0xFF
    largest.write_bytes(content)
    before = await rich.snapshot()
    with pytest.raises(BackupError) as caught:
        await rich.restore(record)
    assert caught.value.code == "backup.damaged"
    assert largest.name in caught.value.message
    assert (await rich.differences(before)).all == ()


async def test_what_pg_restore_could_not_read_is_never_committed(rich: Kit, tmp_path: Path):
    """Past the checksums: pg_restore fails in the middle of the rows, and psql must not take that for their end."""
    await rich.take()
    archive = next((tmp_path / "backups").rglob("application"))
    listing = await rich.tools.listing(archive)
    [albums] = [line for line in listing.splitlines() if " TABLE DATA public albums " in line]
    data = archive / f"{albums.split(';')[0]}.dat.zst"
    content = data.read_bytes()
    data.write_bytes(content[:60] + bytes(len(content) - 60))
    before = await rich.snapshot()
    with pytest.raises(BackupError) as caught:
        await rich.tools.restore(
            archive=archive, listing=f"{albums}\n", before="DELETE FROM public.artists;", after="SELECT 1;"
        )
    assert caught.value.code == "backup.unreadable"
    assert (await rich.differences(before)).all == ()


async def test_who_holds_a_lock_is_named(rich: Kit, database: Database):
    record, _ = await rich.take()
    async with await psycopg.AsyncConnection.connect(database.url, application_name="shop") as shop:
        await shop.execute("SELECT FROM public.albums LIMIT 1")
        with pytest.raises(TargetError) as caught:
            await rich.restore(record)
        assert caught.value.code == "restore.locked"
        assert f"pid {shop.info.backend_pid} (postgres, shop)" in caught.value.message
        waits = [event for event in rich.events if event.kind is EventKind.LOCK_WAIT]
        assert waits
        assert waits[0].data["blockers"][0]["application"] == "shop"
    await rich.restore(record)


async def test_leftover_sessions_of_the_agent_are_ended(rich: Kit, database: Database):
    record, before = await rich.take()
    left = await psycopg.AsyncConnection.connect(database.url, application_name="deploy-agent/dead")
    await left.execute("INSERT INTO public.artists (name) VALUES ('ghost')")
    await rich.restore(record)
    with pytest.raises(psycopg.OperationalError):
        await left.execute("SELECT 1")
    await left.close()
    assert (await rich.differences(before)).all == ()


async def test_a_cancelled_restore_changes_nothing_and_leaves_no_process(rich: Kit, database: Database):
    record, _ = await rich.take()
    before = await rich.snapshot()
    rich.options = type(rich.options)(lock_timeout_s=60)
    async with await psycopg.AsyncConnection.connect(database.url, application_name="shop") as shop:
        await shop.execute("SELECT FROM billing.invoices LIMIT 1")
        running = asyncio.create_task(rich.restore(record))
        while not any(event.kind is EventKind.LOCK_WAIT for event in rich.events):
            assert not running.done()
            await asyncio.sleep(0.05)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    left = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'deploy-agent/tools'"
    async with asyncio.timeout(10):
        while await rich.value(left):
            await asyncio.sleep(0.05)
    assert (await rich.differences(before)).all == ()


async def test_a_restore_after_psql_was_killed_ends_well(rich: Kit, database: Database):
    """The crash in the middle: nothing was changed, and the same call again does it all."""
    record, before = await rich.take()
    await rich.run(DAMAGE)
    damaged = await rich.snapshot()
    rich.options = type(rich.options)(lock_timeout_s=60)
    async with await psycopg.AsyncConnection.connect(database.url, application_name="shop") as shop:
        await shop.execute("SELECT FROM public.artists LIMIT 1")
        running = asyncio.create_task(rich.restore(record))
        while not any(event.kind is EventKind.LOCK_WAIT for event in rich.events):
            assert not running.done()
            await asyncio.sleep(0.05)
        await rich.value(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'deploy-agent/tools'"
        )
        with pytest.raises(BackupError) as caught:
            await running
    assert caught.value.code == "backup.connection_lost"
    assert caught.value.hint.startswith("What had not committed was rolled back.")
    assert (await rich.differences(damaged)).all == ()
    await rich.restore(record)
    assert (await rich.differences(before)).all == ()


_AGENT = """
import asyncio, sys
from pathlib import Path
from agent.edges.object_store import FolderStore
from tests.edges.backup_kit import kit
async def main():
    folder = Path(sys.argv[2])
    async with kit(sys.argv[1], FolderStore(folder / "backups"), folder, lock_timeout_s=60) as made:
        [record] = await made.store.backups(project="demo")
        await made.restore(record)
asyncio.run(main())
"""


async def test_an_agent_killed_in_the_middle_changes_nothing_and_its_successor_ends_well(
    rich: Kit, database: Database, tmp_path: Path
):
    record, before = await rich.take()
    await rich.run(DAMAGE)
    damaged = await rich.snapshot()
    left = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'deploy-agent/tools'"
    waiting = f"{left} AND wait_event_type = 'Lock'"
    async with await psycopg.AsyncConnection.connect(database.url, application_name="shop") as shop:
        await shop.execute("SELECT FROM public.artists LIMIT 1")
        said, environment = tmp_path / "said", {**os.environ, "TMPDIR": str(tmp_path)}
        with said.open("wb") as stream:
            agent = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _AGENT, database.url, str(tmp_path), stderr=stream, env=environment
            )
        try:
            # not a session of the agent's: the restore ends those that do something
            async with await psycopg.AsyncConnection.connect(database.url, autocommit=True) as watcher:
                while await (await watcher.execute(waiting)).fetchone() == (0,):
                    assert agent.returncode is None, said.read_text()
        finally:
            with contextlib.suppress(ProcessLookupError):  # it has ended, which is the failure
                agent.kill()
            await agent.wait()
    async with asyncio.timeout(30):
        while await rich.value(left):
            await asyncio.sleep(0.05)
    assert (await rich.differences(damaged)).all == ()
    await rich.restore(record)
    assert (await rich.differences(before)).all == ()


async def test_without_a_history_table_nothing_of_it_is_made(database: Database, tmp_path: Path):
    async with kit(database.url, FolderStore(tmp_path / "backups"), tmp_path) as made:
        await made.run("CREATE TABLE public.a (id int)")
        record, before = await made.take()
        await made.run("CREATE TABLE public.b (id int)")
        await made.restore(record)
        assert (await made.differences(before)).all == ()
        assert await made.value("SELECT to_regclass('supabase_migrations.schema_migrations')") is None


_MANY = "".join(
    f"""
    CREATE TABLE public.t{n} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text UNIQUE DEFAULT 'x' || {n},
        other bigint {f"REFERENCES public.t{n // 2}" if n else ""});
    INSERT INTO public.t{n} (other) VALUES ({"1" if n else "NULL"});
    ALTER TABLE public.t{n} ENABLE ROW LEVEL SECURITY;
    CREATE POLICY mine ON public.t{n} USING (id > 0);
    CREATE FUNCTION public.secret{n}() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT {n}';
    REVOKE EXECUTE ON FUNCTION public.secret{n}() FROM PUBLIC, anon, authenticated, service_role;
    """
    for n in range(400)
)


@pytest.fixture
async def many(database: Database, tmp_path: Path):
    """More objects than one transaction may lock on a server with the default settings."""
    async with kit(database.url, FolderStore(tmp_path / "backups"), tmp_path, lock_timeout_s=60) as made:
        await made.run(RICH)
        await made.run(_MANY)
        await made.run("SELECT lo_from_bytea(5001, 'large'), lo_put(lo_create(5002), 3000000, 'end')")
        yield made


async def test_too_many_locks_for_one_transaction_are_taken_in_several(many: Kit, database: Database):
    pg_dump = await pg_dump_of(many)
    record, before = await many.take()
    schema = schema_text(pg_dump, database.admin_url)
    await many.run(DAMAGE)
    await many.run("".join(f"ALTER TABLE public.t{n} ADD COLUMN more int DEFAULT 1;" for n in range(0, 400, 7)))
    await many.run("SELECT lo_unlink(5001), lo_put(5002, 7, 'other')")
    await many.restore(record)
    assert (await many.differences(before)).all == ()
    assert schema_text(pg_dump, database.admin_url) == schema
    parts = [event.data["total"] for event in many.events if event.data.get("what") == "restore"]
    assert parts
    assert set(parts) == {len(parts)}
    assert any("transactions" in event.message for event in many.events)


async def test_an_agent_killed_between_the_parts_is_followed_by_one_that_goes_on(
    many: Kit, database: Database, tmp_path: Path
):
    """SIGKILL, three times; between the parts nobody may see what row security and rights are to hide."""
    record, before = await many.take()
    await many.run(DAMAGE)
    await many.run("SELECT lo_unlink(5001), lo_put(5002, 7, 'other')")
    journal = "SELECT to_regclass('supabase_migrations.deploy_agent_restore')"
    committed = "SELECT count(*) FROM supabase_migrations.deploy_agent_restore WHERE done"
    readable = """
        SELECT array_agg(c.oid::regclass::text) FROM pg_class c
        WHERE c.relnamespace = 'public'::regnamespace AND c.relname ~ '^t[0-9]+$' AND NOT c.relrowsecurity
          AND (has_table_privilege('anon', c.oid, 'SELECT') OR has_table_privilege('authenticated', c.oid, 'SELECT'))"""
    callable_ = """
        SELECT array_agg(p.oid::regprocedure::text) FROM pg_proc p
        WHERE p.proname ~ '^secret' AND has_function_privilege('anon', p.oid, 'EXECUTE')"""

    async def done(watcher: psycopg.AsyncConnection) -> int:
        if await (await watcher.execute(journal)).fetchone() == (None,):
            return 0
        [count] = await (await watcher.execute(committed)).fetchone() or [0]
        return count

    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    counts = [0]
    async with await psycopg.AsyncConnection.connect(database.url, autocommit=True) as watcher:
        for _ in range(3):
            agent = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _AGENT, database.url, str(tmp_path), env=environment
            )
            try:
                while await done(watcher) == counts[-1]:
                    assert agent.returncode is None
            finally:
                with contextlib.suppress(ProcessLookupError):  # it has ended, which is the failure
                    agent.kill()
                await agent.wait()
            counts.append(await done(watcher))
    assert await many.value(readable) is None
    assert await many.value(callable_) is None
    refused = await deployed(database, tmp_path / "deploy")
    assert refused.why.startswith("preflight.unfinished_restore: ")
    assert record.id in refused.why
    await many.restore(record)
    parts = [event.data["done"] for event in many.events if event.data.get("what") == "restore"]
    assert parts == list(range(parts[0], parts[-1] + 1))
    assert counts[-1] < parts[0] <= counts[-1] + 2  # what was in the pipe when it was killed may have committed
    assert (await many.differences(before)).all == ()
    assert await many.value(journal) is None
    assert await many.value("SELECT to_regclass('supabase_migrations.deploy_agent_large')") is None


async def deployed(database: Database, folder: Path) -> Outcome:
    write_migrations(folder, {"20260109000000_more.sql": "CREATE TABLE public.more (id int)"})
    return await deploy(make_settings(database.url, folder))


async def unfinished(made: Kit, name: str, *, done: int) -> None:
    """The journal of a restore whose parts all fail, of which so many have committed."""
    async with made.target.session(purpose="test") as session:
        await session.run_many([sql.load("restore/journal_open")])
        for number in (1, 2):
            batch = {"name": "part", "before": "SELECT 1 / 0;", "listing": "", "after": ""}
            await session.run(sql.load("restore/journal_add"), {"restore": name, "number": number, **batch})
            if number <= done:
                await session.run_many(
                    [session.bind(sql.load("restore/journal_done"), {"number": number, "restore": name})]
                )


_JOURNAL = "SELECT to_regclass('supabase_migrations.deploy_agent_restore')"


async def test_a_restore_of_another_backup_takes_the_place_of_an_unfinished_one(rich: Kit):
    record, before = await rich.take()
    await rich.run(DAMAGE)
    await unfinished(rich, "20200101T000000Z-none", done=1)
    await rich.restore(record)
    assert (await rich.differences(before)).all == ()
    assert await rich.value(_JOURNAL) is None


async def test_while_a_restore_is_unfinished_no_backup_is_removed(rich: Kit):
    """Not the one that it needs to go on, and not the one that was taken before it."""
    records = [(await rich.take())[0] for _ in range(3)]
    options = replace(rich.options, keep_last=1)
    arguments: dict[str, Any] = {"target": rich.target, "objects": rich.objects, "store": rich.store, "clock": CLOCK}
    await unfinished(rich, records[0].id, done=1)
    assert await prune(**arguments, project="demo", options=options) == []
    await rich.run("DROP TABLE supabase_migrations.deploy_agent_restore")
    assert await prune(**arguments, project="demo", options=options) == sorted(
        records[:2], key=lambda one: one.created_at
    )


async def test_a_restore_that_changed_nothing_does_not_go_on_but_begins_anew(database: Database, tmp_path: Path):
    """The database may have been deployed to since."""
    async with kit(database.url, FolderStore(tmp_path / "backups"), tmp_path) as made:
        await made.run("CREATE TABLE public.a (id int); INSERT INTO public.a VALUES (1)")
        record, before = await made.take()
        await unfinished(made, record.id, done=0)
        assert (await deployed(database, tmp_path / "deploy")).state == "succeeded"
        await made.restore(record)
        assert (await made.differences(before)).all == ()
        assert await made.value(_JOURNAL) is None


async def test_nothing_to_do_is_not_said_of_a_database_that_is_half_restored(database: Database, tmp_path: Path):
    assert (await deployed(database, tmp_path / "deploy")).state == "succeeded"
    async with kit(database.url, FolderStore(tmp_path / "backups"), tmp_path) as made:
        await unfinished(made, "20200101T000000Z-none", done=1)
    refused = await deployed(database, tmp_path / "deploy")
    assert refused.state == "aborted"
    assert refused.deploy.failure is not None
    assert refused.deploy.failure.code == "preflight.unfinished_restore"
    assert "deploy-agent restore 20200101T000000Z-none" in refused.deploy.failure.hint


async def test_a_row_of_200_mb_comes_back_and_the_agent_stays_small(database: Database, tmp_path: Path):
    megabytes = 200
    async with kit(database.url, FolderStore(tmp_path / "backups"), tmp_path) as made:
        await made.run(
            "CREATE TABLE public.films (id int PRIMARY KEY, film bytea);"
            "ALTER TABLE public.films ALTER COLUMN film SET STORAGE EXTERNAL;"
            f"INSERT INTO public.films VALUES (1, convert_to(repeat('0123456789abcdef', {megabytes << 16}), 'UTF8')),"
            " (2, 'short')"
        )
        content = "SELECT array_agg(md5(film) ORDER BY id)::text || sum(length(film)) FROM public.films"
        whole = await made.value(content)
        record, before = await made.take()
        await made.run("UPDATE public.films SET film = 'gone'")
        tracemalloc.start()
        try:
            await made.restore(record)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < megabytes << 19  # half of the row, which as text is twice its size
        assert (await made.differences(before)).all == ()
        assert await made.value(content) == whole


async def test_what_relies_on_the_search_path_comes_back(rich: Kit):
    """pg_restore sets none; functions in generated columns and checks that name others without schema then fail."""
    await rich.run(
        "CREATE FUNCTION public.plain(t text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower(t)';"
        "CREATE FUNCTION public.slug(t text) RETURNS text LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN plain(t); END';"
        "CREATE TABLE public.posts (title text CHECK (public.slug(title) <> ''),"
        " slug text GENERATED ALWAYS AS (public.slug(title)) STORED);"
        "INSERT INTO public.posts VALUES ('One'), ('Two')"
    )
    record, before = await rich.take()
    await rich.run("DROP TABLE public.posts; DROP FUNCTION public.slug")
    await rich.restore(record)
    assert (await rich.differences(before)).all == ()
    assert any("search path" in event.message for event in rich.events)
