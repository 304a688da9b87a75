"""Large objects: they come back under their OIDs, what the application made stays, what is lost is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.bootstrap import open_deps
from agent.core.models import EventKind
from agent.core.salvage import Applied, Wishes
from agent.deploy import large_objects
from agent.deploy.archive import load_manifest
from agent.deploy.salvages import apply_salvage, load_salvages
from agent.edges.object_store import FolderStore
from agent.errors import StatementError
from tests.conftest import Database
from tests.edges.backup_kit import kit
from tests.restore.salvaging import application
from tests.support import picture
from tests.support.deploying import Outcome, deploy, make_settings, write_migrations
from tests.support.oracle import psql, rows

FIRST = """
SELECT lo_from_bytea(5000 + n, convert_to('before ' || n, 'UTF8')) FROM generate_series(1, 4) AS n;
CREATE TABLE public.notes (id int);
"""
LEFT = "SELECT count(*) FROM pg_class WHERE relname = 'deploy_agent_large'"


def contents(database: Database) -> dict[int, str]:
    """Each large object's content."""
    query = "SELECT oid::bigint, convert_from(lo_get(oid), 'UTF8') FROM pg_largeobject_metadata"
    found = rows(database.admin_url, query)
    return {int(oid): text for oid, text in found}


async def failing(database: Database, folder: Path, migration: str, strategy: str = "per_migration") -> Outcome:
    """Deploy a migration that commits, and one that fails."""
    psql(database.admin_url, "CREATE EXTENSION IF NOT EXISTS dblink WITH SCHEMA extensions")
    psql(database.url, FIRST)
    write_migrations(folder, {"20260101000000_first.sql": migration, "20260102000000_fails.sql": "SELECT 1/0"})
    return await deploy(make_settings(database.url, folder), strategy)


@pytest.mark.parametrize("strategy", ["per_migration", "statement"])
async def test_what_the_application_made_stays_and_what_the_deploy_did_is_undone(
    database: Database, tmp_path: Path, strategy: str
) -> None:
    meanwhile = application(database, "SELECT lo_from_bytea(6002, 'the application''s')")
    migration = f"""
        SELECT lo_from_bytea(6001, 'the deploy''s');
        {meanwhile.replace("dblink_exec", "dblink").replace("select ", "SELECT * FROM ", 1)} AS t (made oid);
        SELECT lo_unlink(5001);
    """
    outcome = await failing(database, tmp_path, migration, strategy)
    assert outcome.state == "restored", outcome.why
    assert outcome.of(EventKind.RUNG)[-1].data["rung"] == 3
    kept = {5000 + n: f"before {n}" for n in range(1, 5)}
    assert contents(database) == {**kept, 6002: "the application's"}
    assert psql(database.admin_url, LEFT) == "0"


async def test_what_the_application_may_have_written_is_kept_in_a_salvage(database: Database, tmp_path: Path) -> None:
    meanwhile = application(database, "SELECT lo_put(5002, 0, 'theirs'), lo_put(5003, 8, ' far')")
    migration = f"""
        SELECT lo_put(5001, 0, 'deploy');
        {meanwhile.replace("dblink_exec", "dblink").replace("select ", "SELECT * FROM ", 1)} AS t (a text, b text);
    """
    outcome = await failing(database, tmp_path, migration)
    assert outcome.state == "restored", outcome.why
    before = {5000 + n: f"before {n}" for n in range(1, 5)}
    assert contents(database) == before
    name = large_objects.SALVAGED
    async with open_deps(make_settings(database.url, tmp_path)) as deps:
        [stored] = await load_salvages(deps.objects, "test")
        [table] = stored.salvage.tables
        assert (table.table, table.unclear, table.application) == (name, 3, 0)

        async def apply(**wishes: bool) -> Applied:
            async with deps.target.session(purpose="salvage") as session:
                [one] = await apply_salvage(session, deps.objects, stored, deps.backup, Wishes(**wishes))
            return one

        assert await apply() == Applied(table=name, left=3)
        assert await apply(unclear=True) == Applied(table=name, differs=3)
        assert await apply(unclear=True, overwrite=True, dry_run=True) == Applied(table=name, overwritten=3)
        assert contents(database) == before
        psql(database.url, "SELECT lo_unlink(5003)")
        assert await apply(unclear=True, overwrite=True) == Applied(table=name, overwritten=2, inserted=1)
        assert await apply(unclear=True, overwrite=True) == Applied(table=name, there=3)
    assert contents(database) == {5001: "deploy 1", 5002: "theirs 2", 5003: "before 3 far", 5004: "before 4"}
    assert psql(database.admin_url, LEFT) == "0"


async def test_nothing_is_read_or_undone_where_the_deploy_wrote_to_none(database: Database, tmp_path: Path) -> None:
    meanwhile = application(database, "SELECT lo_unlink(5001), lo_put(5002, 0, 'afterw')")
    migration = f"""
        DROP TABLE public.notes;
        {meanwhile.replace("dblink_exec", "dblink").replace("select ", "SELECT * FROM ", 1)} AS t (a int, b text);
    """
    outcome = await failing(database, tmp_path, migration)
    assert outcome.state == "restored", outcome.why
    assert contents(database) == {5002: "afterw 2", 5003: "before 3", 5004: "before 4"}


async def test_one_that_the_role_may_not_read_is_named_beforehand_and_left_alone(
    database: Database, tmp_path: Path
) -> None:
    psql(database.admin_url, "SELECT lo_from_bytea(7001, 'hidden')")
    psql(database.url, "SELECT lo_from_bytea(7002, '')")
    before = picture.take(database.admin_url)
    outcome = await failing(database, tmp_path, "SELECT lo_unlink(7002); SELECT lo_unlink(5002);")
    assert outcome.state == "restored", outcome.why
    assert any("may not read 1 large object," in event.message for event in outcome.events)
    assert [line for line in before.unlike(picture.take(database.admin_url)) if "700" in line] == []
    assert contents(database)[5002] == "before 2"


async def test_a_restore_by_hand_brings_them_back_and_takes_none_away(database: Database, tmp_path: Path) -> None:
    async with kit(database.url, FolderStore(tmp_path / "backups"), tmp_path) as made:
        await made.run(FIRST)
        record, _ = await made.take()
        await made.run("SELECT lo_unlink(5001), lo_put(5002, 0, 'afterw'), lo_from_bytea(6001, 'new')")
        await made.restore(record)
    kept = {5000 + n: f"before {n}" for n in range(1, 5)}
    assert contents(database) == {**kept, 6001: "new"}
    assert psql(database.admin_url, LEFT) == "0"
    assert psql(database.admin_url, "SELECT to_regnamespace('supabase_migrations') IS NULL") == "t"


async def test_a_restore_that_fails_behind_them_has_changed_nothing(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = large_objects.put
    monkeypatch.setattr(large_objects, "put", lambda *given: f"{put(*given)};\nSELECT 1/0")
    async with kit(database.url, FolderStore(tmp_path / "backups"), tmp_path) as made:
        await made.run(FIRST)
        record, _ = await made.take()
        await made.run("SELECT lo_unlink(5001), lo_put(5002, 0, 'afterw'), lo_from_bytea(6001, 'new')")
        before = picture.take(database.admin_url)
        with pytest.raises(StatementError, match="division by zero"):
            await made.restore(record)
    assert before.unlike(picture.take(database.admin_url)) == []
    assert psql(database.admin_url, LEFT) == "0"


async def test_a_backup_without_them_has_no_file_for_them(database: Database, tmp_path: Path) -> None:
    async with kit(database.url, FolderStore(tmp_path / "backups"), tmp_path) as made:
        record, _ = await made.take()
        manifest = await load_manifest(made.objects, record)
    assert not large_objects.has_some(manifest)
