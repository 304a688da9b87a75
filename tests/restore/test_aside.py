"""A backup into another database, as role `postgres`: complete, in parallel, compared; or refused, or taken back."""

from __future__ import annotations

import asyncio
import difflib
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from pydantic import SecretStr

from agent.core.aside import Aside
from agent.core.models import BackupRecord
from agent.deploy.aside import restore_aside
from agent.edges.object_store import FolderStore
from agent.edges.pgtools import PostgresTools
from agent.edges.target import PsycopgTarget
from agent.errors import StatementError, TargetError
from tests.conftest import Database
from tests.edges.backup_kit import CLOCK, RICH, Kit, kit
from tests.restore.waiting import LOCK, until_it_waits
from tests.support.oracle import psql, rows, schema_dump, table_hashes

Picture = tuple[list[str], dict[str, str]]
USERS = "COPY auth.users TO STDOUT"


@pytest.fixture
async def rich(database: Database, tmp_path: Path):
    async with kit(database.url, FolderStore(tmp_path / "backups"), tmp_path, lock_timeout_s=0.5) as made:
        await made.run(RICH)
        yield made


async def aside(made: Kit, record: BackupRecord, other: Database, **more: Any) -> Aside:
    return await restore_aside(
        **{
            "source": made.target,
            "target": PsycopgTarget(SecretStr(other.url)),
            "tools": PostgresTools(SecretStr(other.url)),
            "objects": made.objects,
            "backup": record,
            "options": made.options,
            "overwrite": False,
            "jobs": 2,
            "clock": CLOCK,
            "emit": made.events.append,
            **more,
        }
    )


def bring_users(source: Database, other: Database) -> None:
    """The rows of `auth.users`, which a backup holds only if it is asked to."""
    users = psql(source.admin_url, USERS)
    psql(other.admin_url, f"SET session_replication_role = replica;\nCOPY auth.users FROM STDIN;\n{users}\n\\.\n")


def whole(database: Database) -> Picture:
    """The definition of everything, line by line (in which order rights were granted is no matter), and all rows."""
    blocks = schema_dump(database.admin_url).split("\n\n\n")
    lines = [line for block in blocks for line in (sorted(block.split("\n")) if "\nGRANT " in block else [block])]
    return lines, table_hashes(database.admin_url)


def unlike(database: Database, wanted: Database) -> list[str]:
    """What differs between two databases; cron's table holds the database's name."""
    return [each for each in unlike_before(database, whole(wanted)) if not each.startswith("cron.job: ")]


def unlike_before(database: Database, before: Picture) -> list[str]:
    """What differs from what it was."""
    lines, tables = whole(database)
    rows = sorted(f"{name}: {what}" for name, what in tables.items() ^ before[1].items())
    return [*difflib.unified_diff(before[0], lines, "wanted", "found", n=0, lineterm=""), *rows]


def refuse(database: Database, tag: str, *, action: str = "RAISE 'not here'") -> None:
    """As Supabase's administrator: at this command in this database something happens."""
    psql(
        database.admin_url,
        f"CREATE FUNCTION extensions.refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN {action}; END$$;"
        f"CREATE EVENT TRIGGER refuse ON ddl_command_end WHEN TAG IN ('{tag}') EXECUTE FUNCTION extensions.refuse();"
        "ALTER EVENT TRIGGER refuse ENABLE ALWAYS",
    )


async def test_a_new_project_becomes_the_same(rich: Kit, database: Database, other: Database):
    record, _ = await rich.take()
    bring_users(database, other)
    done = await aside(rich, record, other)
    assert done.complete, done
    assert (done.tables, done.replaced) == (7, False)
    assert unlike(other, database) == []
    jobs = "SELECT jobname, schedule, command, active FROM cron.job"
    assert rows(other.admin_url, jobs) == rows(database.admin_url, jobs)
    assert rows(other.url, "SELECT nextval('public.tickets')") == [(110,)]
    phases = {event.data["phase"] for event in rich.events if event.data.get("what") == "restore"}
    assert phases == {"load", "compare"}


async def test_keys_to_users_that_are_missing_are_made_unchecked_and_named(
    rich: Kit, database: Database, other: Database
):
    record, _ = await rich.take()
    done = await aside(rich, record, other)
    assert done.unchecked_keys == ("public.profiles profiles_id_fkey",)
    assert done.left_out == ()
    bring_users(database, other)
    psql(other.url, "ALTER TABLE public.profiles VALIDATE CONSTRAINT profiles_id_fkey")
    assert unlike(other, database) == []


async def test_users_come_along_where_the_backup_has_them(rich: Kit, database: Database, other: Database):
    rich.options = replace(rich.options, managed_data=("auth",))
    record, _ = await rich.take()
    done = await aside(rich, record, other)
    assert done.complete
    assert "auth.users" in done.filled
    assert unlike(other, database) == []


async def test_what_is_not_empty_is_refused_or_replaced(rich: Kit, database: Database, other: Database):
    record, _ = await rich.take()
    bring_users(database, other)
    psql(
        other.url,
        """
        CREATE TABLE public.albums (id text);
        CREATE TABLE public.mine (id int);
        CREATE SCHEMA ours CREATE TABLE ours.things (id int);
        CREATE FUNCTION public.new_user() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
        CREATE TRIGGER mine AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION public.new_user();
        CREATE SCHEMA supabase_migrations;
        CREATE TABLE supabase_migrations.schema_migrations (version text PRIMARY KEY, statements text[], name text);
        INSERT INTO supabase_migrations.schema_migrations VALUES ('20250101000000');
        """,
    )
    before = whole(other)
    with pytest.raises(TargetError) as caught:
        await aside(rich, record, other)
    assert caught.value.code == "restore.not_empty"
    assert "table public.albums" in caught.value.message
    assert "--overwrite" in caught.value.hint
    assert whole(other) == before

    done = await aside(rich, record, other, overwrite=True)
    assert (done.complete, done.replaced) == (True, True)
    psql(other.url, "DROP SCHEMA ours")
    assert unlike(other, database) == []


async def test_a_failed_replacement_leaves_what_was_there(rich: Kit, other: Database):
    record, _ = await rich.take()
    psql(other.url, "CREATE TABLE public.mine (id int); INSERT INTO public.mine VALUES (1)")
    refuse(other, "CREATE POLICY")
    before = whole(other)
    with pytest.raises(StatementError, match="not here"):
        await aside(rich, record, other, overwrite=True)
    assert whole(other) == before


async def test_what_hangs_on_a_new_project_by_itself_is_no_content(rich: Kit, database: Database, other: Database):
    """Functions of Supabase's own in `public`, and extensions there."""
    psql(
        other.admin_url,
        "CREATE FUNCTION public.rls_auto_enable() RETURNS int LANGUAGE sql AS 'SELECT 1';"
        "CREATE EXTENSION pg_trgm WITH SCHEMA public",
    )
    record, _ = await rich.take()
    done = await aside(rich, record, other)
    assert done.left_out == ()
    assert rows(other.url, "SELECT public.rls_auto_enable(), public.similarity('a', 'a')") == [(1, 1.0)]


async def test_what_belongs_to_others_is_left_out_and_named(rich: Kit, database: Database, other: Database):
    psql(database.admin_url, "CREATE TABLE public.theirs (id int PRIMARY KEY); INSERT INTO public.theirs VALUES (1)")
    record, _ = await rich.take()
    done = await aside(rich, record, other)
    assert done.left_out == (
        "table public.theirs of supabase_admin",
        "constraint public.theirs theirs_pkey of supabase_admin",
    )
    assert rows(other.url, "SELECT to_regclass('public.theirs')") == [(None,)]


async def test_missing_roles_are_named(rich: Kit, database: Database, other: Database):
    psql(database.url, "CREATE ROLE auditor; CREATE ROLE nobody; GRANT SELECT ON public.albums TO auditor")
    try:
        record, _ = await rich.take()
    finally:
        psql(database.admin_url, "DROP OWNED BY auditor; DROP ROLE auditor; DROP ROLE nobody")
    before = whole(other)
    with pytest.raises(TargetError) as caught:
        await aside(rich, record, other)
    assert caught.value.code == "restore.roles_missing"
    assert caught.value.message.endswith("missing: auditor")
    assert whole(other) == before


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_the_source_is_refused_by_whatever_name(rich: Kit, database: Database, host: str):
    record, _ = await rich.take()
    url = database.url.replace("127.0.0.1", host)
    same = Database(name=database.name, url=url, admin_url=database.admin_url, server=database.server)
    before = whole(database)
    with pytest.raises(TargetError) as caught:
        await aside(rich, record, same, overwrite=True)
    assert caught.value.code == "restore.same_database"
    assert whole(database) == before


async def test_a_source_that_is_gone_holds_nothing_up(rich: Kit, database: Database, other: Database):
    record, _ = await rich.take()
    bring_users(database, other)
    gone = PsycopgTarget(SecretStr("postgresql://postgres:x@127.0.0.1:1/gone"))
    done = await aside(rich, record, other, source=gone)
    assert done.complete
    assert any("cannot be asked" in event.message for event in rich.events)


@pytest.mark.parametrize("tag", ["CREATE TABLE", "CREATE INDEX", "CREATE TRIGGER", "CREATE POLICY"])
async def test_a_failure_on_the_way_leaves_it_as_empty_as_it_was(rich: Kit, other: Database, tag: str):
    rich.options = replace(rich.options, managed_data=("auth",))
    record, _ = await rich.take()
    refuse(other, tag)
    before = whole(other)
    with pytest.raises(TargetError, match="not here") as caught:
        await aside(rich, record, other)
    assert caught.value.code == "restore.statement_failed"
    assert unlike_before(other, before) == []


async def test_a_cancelled_restore_leaves_it_as_empty_as_it_was(rich: Kit, other: Database):
    record, _ = await rich.take()
    refuse(other, "CREATE INDEX", action=f"PERFORM pg_advisory_xact_lock({LOCK})")
    before = whole(other)
    async with await psycopg.AsyncConnection.connect(other.admin_url, autocommit=True) as holder:
        await holder.execute(f"SELECT pg_advisory_lock({LOCK})")
        running = asyncio.create_task(aside(rich, record, other))
        await until_it_waits(holder, running)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
    assert unlike_before(other, before) == []


async def test_what_arrives_otherwise_is_noticed(rich: Kit, other: Database):
    record, _ = await rich.take()
    refuse(other, "CREATE POLICY", action="UPDATE public.albums SET title = title || '!' WHERE id = 7")
    with pytest.raises(TargetError) as caught:
        await aside(rich, record, other)
    assert caught.value.code == "restore.differs"
    assert "table public.albums has other content in its 500 rows" in caught.value.message


LARGE = """
SELECT lo_from_bytea(5001, 'one'), lo_from_bytea(5002, ''), lo_put(lo_create(5003), 2500000, 'far');
GRANT SELECT ON LARGE OBJECT 5001 TO anon;
COMMENT ON LARGE OBJECT 5002 IS 'empty';
ALTER LARGE OBJECT 5003 OWNER TO anon;
GRANT SELECT ON LARGE OBJECT 5003 TO postgres;
"""
OBJECTS = """
SELECT oid, lomowner::regrole, lomacl, obj_description(oid, 'pg_largeobject'), md5(lo_get(oid))
FROM pg_largeobject_metadata ORDER BY 1
"""


async def test_large_objects_come_along_under_their_oids(rich: Kit, database: Database, other: Database):
    await rich.run(LARGE)
    record, _ = await rich.take()
    psql(other.url, "SELECT lo_from_bytea(6001, 'its own')")
    done = await aside(rich, record, other)
    assert done.left_out == ()
    psql(other.url, "SELECT lo_unlink(6001)")
    assert rows(other.admin_url, OBJECTS) == rows(database.admin_url, OBJECTS)


async def test_large_objects_whose_oids_are_taken_are_refused_or_replaced(
    rich: Kit, database: Database, other: Database
):
    await rich.run(LARGE)
    record, _ = await rich.take()
    psql(other.url, "SELECT lo_from_bytea(5001, 'another''s'), lo_from_bytea(6001, 'its own')")
    before = rows(other.admin_url, OBJECTS)
    with pytest.raises(TargetError) as caught:
        await aside(rich, record, other)
    assert (caught.value.code, "5001" in caught.value.message) == ("restore.large_objects_taken", True)
    assert rows(other.admin_url, OBJECTS) == before
    psql(other.url, "CREATE TABLE public.in_the_way ()")
    done = await aside(rich, record, other, overwrite=True)
    assert done.replaced
    psql(other.url, "SELECT lo_unlink(6001)")
    assert rows(other.admin_url, OBJECTS) == rows(database.admin_url, OBJECTS)


async def test_a_failure_behind_large_objects_takes_them_away_again(
    rich: Kit, other: Database, monkeypatch: pytest.MonkeyPatch
):
    async def fails(_: object) -> None:
        raise StatementError("the look fails", sqlstate="57014", position=0)

    await rich.run(LARGE)
    record, _ = await rich.take()
    psql(other.url, "SELECT lo_from_bytea(6001, 'its own')")
    before = (*whole(other), rows(other.admin_url, OBJECTS))
    monkeypatch.setattr("agent.deploy.aside._check", fails)
    with pytest.raises(StatementError, match="the look fails"):
        await aside(rich, record, other)
    assert (*whole(other), rows(other.admin_url, OBJECTS)) == before
